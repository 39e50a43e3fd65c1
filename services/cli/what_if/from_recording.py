"""A history out of a recording of commands (`doordarshan record`). Pure: `Handled` records in, a history out.

A recording has no placement decisions. They are put together from what was said: `AllocateRouter` that a media server carried out is a
meeting that was placed there, `no_capacity` one that was not, `EndMeeting` or `CloseRouter` its end. Servers' capacity, load and draining
are those of the last `ListServers` (or of whoever drained them); without one the load is taken as none, and the capacity must be given.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue, ValidationError

from contracts.create_meeting import AllocateRouter, CreateMeeting, RouterAllocated
from contracts.details import Candidate, Decision, Unfit
from contracts.end_meeting import CloseRouter, EndMeeting
from contracts.failure import Failure, NoCapacity
from contracts.handled import Handled
from contracts.ids import Epoch, MediaServerId
from contracts.message import Done
from contracts.servers import DrainServer, MediaServerView, ServersListed, UndrainServer
from services.cli.stack.errors import CannotRun
from services.cli.what_if.history import Decided, Ended, History, Key, Lives, Step


@dataclass(slots=True)
class _Seen:
    """A server as the recording shows it so far. `elsewhere`: streams that no meeting of the recording booked."""

    capacity: int
    cpu: float = 0.0
    egress: float = 0.0
    draining: bool = False
    elsewhere: int = 0


@dataclass(slots=True)
class _Reader:
    servers: dict[MediaServerId, _Seen]
    places: dict[Key, Lives] = field(default_factory=dict)
    refused: dict[Key, dict[MediaServerId, str]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)


def read(records: Iterable[Handled], capacity: int | None) -> History:
    """Return what a recording tells of placement. `capacity`: of servers that no `ListServers` shows. Raises CannotRun without it."""
    ordered = sorted(records, key=lambda one: one.at)
    reader = _Reader({name: _Seen(streams) for name, streams in _capacities(ordered, capacity).items()})
    for record in ordered:
        _take(reader, record)
    return History({}, tuple(reader.steps), ranked=False)


def _take(reader: _Reader, record: Handled) -> None:
    key = _key(record)
    ended = record.reply_type == Done.__name__
    match record.envelope.type:
        case AllocateRouter.__name__:
            _allocated(reader, record)
        case CreateMeeting.__name__ if _code(record) == NoCapacity.code:
            streams = CreateMeeting.model_validate(record.command).capacity.streams
            _decided(reader, record, None, streams)
        case EndMeeting.__name__ if ended:
            _over(reader, record)
        case CloseRouter.__name__ if ended and key in reader.places:
            if reader.places[key].server == server_of(record.queue):
                _over(reader, record)
        case DrainServer.__name__ | UndrainServer.__name__ if ended:
            name = DrainServer.model_validate(record.command).media_server_id
            if name in reader.servers:
                reader.servers[name].draining = record.envelope.type == DrainServer.__name__
        case _:
            for view in _listed(record):
                _look(reader, view)


def _allocated(reader: _Reader, record: Handled) -> None:
    key, server = _key(record), server_of(record.queue)
    if server is None:
        return
    if record.reply_type != RouterAllocated.__name__:
        reader.refused.setdefault(key, {})[server] = _code(record) or "refused"
        return
    streams = AllocateRouter.model_validate(record.command).capacity.streams
    if reader.places.get(key) != Lives(server, streams):
        _decided(reader, record, server, streams)


def _decided(reader: _Reader, record: Handled, chosen: MediaServerId | None, streams: int) -> None:
    key = _key(record)
    decision = Decision(
        at=record.at,
        epoch=Epoch(0) if chosen is None else record.envelope.epoch or Epoch(1),
        streams=streams,
        chosen=chosen,
        reason="as recorded",
        candidates=[_candidate(reader, name, key, chosen) for name in sorted(reader.servers)],
    )
    reader.steps.append(Decided(record.at, key, decision))
    reader.refused.pop(key, None)
    if chosen is not None:
        reader.places[key] = Lives(chosen, streams)


def _candidate(reader: _Reader, name: MediaServerId, key: Key, chosen: MediaServerId | None) -> Candidate:
    seen, lives = reader.servers[name], reader.places.get(key)
    left = lives is not None and lives.server == name != chosen
    refusal = reader.refused.get(key, {}).get(name)
    unfit = Unfit.TRIED if refusal and name != chosen else None
    unfit = unfit or (Unfit.DRAINING if seen.draining else Unfit.SILENT if left else None)
    booked = _booked(reader, name) + seen.elsewhere
    return Candidate(
        media_server_id=name,
        capacity=seen.capacity,
        booked=booked,
        cpu=seen.cpu,
        egress=seen.egress,
        utilization=booked / seen.capacity if seen.capacity else 1.0,
        rejected=None if unfit is None else refusal or unfit.value,
        unfit=unfit,
    )


def _over(reader: _Reader, record: Handled) -> None:
    if reader.places.pop(_key(record), None) is not None:
        reader.steps.append(Ended(record.at, _key(record)))


def _look(reader: _Reader, view: MediaServerView) -> None:
    seen = reader.servers[view.media_server_id]
    seen.capacity, seen.cpu, seen.egress, seen.draining = view.capacity, view.cpu, view.egress, view.draining
    seen.elsewhere = max(view.booked - _booked(reader, view.media_server_id), 0)


def _booked(reader: _Reader, name: MediaServerId) -> int:
    return sum(lives.streams for lives in reader.places.values() if lives.server == name)


def _capacities(records: Sequence[Handled], capacity: int | None) -> dict[MediaServerId, int]:
    """Return every server that the recording names, with its capacity as it was first listed."""
    found: dict[MediaServerId, int] = {}
    for record in records:
        for view in _listed(record):
            found.setdefault(view.media_server_id, view.capacity)
    named = {server for record in records if (server := server_of(record.queue)) is not None}
    if unknown := sorted(named - found.keys()):
        if capacity is None:
            raise CannotRun(
                f"the recording does not say how much {', '.join(unknown)} can take: name it with --capacity"
            )
        found |= dict.fromkeys(unknown, capacity)
    return found


def _listed(record: Handled) -> list[MediaServerView]:
    if record.reply_type != ServersListed.__name__:
        return []
    try:
        return ServersListed.model_validate(record.reply).servers
    except ValidationError:
        return []


def _code(record: Handled) -> str | None:
    body: JsonValue = record.reply
    return str(body.get("code")) if record.reply_type == Failure.__name__ and isinstance(body, dict) else None


def _key(record: Handled) -> Key:
    return Key(record.envelope.tenant, record.envelope.meeting)


def server_of(queue: str) -> MediaServerId | None:
    """Return whose queue that is; None for any other than a media server's."""
    parts = queue.split(".")
    return MediaServerId(parts[1]) if len(parts) == 4 and parts[0] == "media" else None
