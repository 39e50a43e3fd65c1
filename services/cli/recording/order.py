"""The order in which commands of a meeting took effect, as far as it can be known. Pure.

They stand in the order in which they began: whatever a command needed had happened before that, so a command never comes before one that
had ended when it began. Among commands that overlapped the replies tell: a seat's number, the event up to which a list was read, whether
a producer is listed, and the order in which a media server took what was nested in them (it takes a meeting's commands one by one).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic import JsonValue

from contracts.handled import Handled

_LISTS = ("MeetingJoined", "MeetingDetails", "ProducersListed")


@dataclass(frozen=True, slots=True)
class _Effect:
    """What a record shows of its place: when it ran, the event that it wrote or read up to, what it made or listed, its place at a media server."""

    record: Handled
    begun: float
    ended: float
    wrote: int | None
    read: int | None
    made: str | None
    listed: frozenset[str] | None
    at_server: tuple[str, int] | None


def in_order_of_effect(records: Sequence[Handled], nested: Mapping[UUID, Sequence[Handled]]) -> list[Handled]:
    """Return records, given in the order in which they began, in the order of their effects. `nested` is by the outer command's id."""
    ordered: list[_Effect] = []
    for record in records:
        effect = _effect(record, nested.get(record.envelope.command_id, ()))
        ordered.insert(_place(effect, ordered), effect)
    return [effect.record for effect in ordered]


def begun(record: Handled) -> float:
    """Return when a command began to be handled, in seconds."""
    return record.at.timestamp() - record.seconds


def _place(new: _Effect, ordered: Sequence[_Effect]) -> int:
    """Return where to insert: before the first that came later, within those that overlapped."""
    place = at = len(ordered)
    while at > 0 and ordered[at - 1].ended > new.begun:
        at -= 1
        first = _came_first(new, ordered[at])
        if first is False:
            break
        if first:
            place = at
    return place


def _came_first(one: _Effect, other: _Effect) -> bool | None:
    """Say whether one took effect before the other; None when nothing tells."""
    for known in (_by_events(one, other), _by_lists(one, other), _by_server(one, other)):
        if known is not None:
            return known
    return None


def _by_events(one: _Effect, other: _Effect) -> bool | None:
    if one.wrote is not None and other.read is not None:
        return one.wrote <= other.read
    if one.read is not None and other.wrote is not None:
        return one.read < other.wrote
    mine, others = one.wrote or one.read, other.wrote or other.read
    return None if mine is None or others is None or mine == others else mine < others


def _by_lists(one: _Effect, other: _Effect) -> bool | None:
    if one.made is not None and other.listed is not None:
        return one.made in other.listed
    if one.listed is not None and other.made is not None:
        return other.made not in one.listed
    return None


def _by_server(one: _Effect, other: _Effect) -> bool | None:
    if one.at_server is None or other.at_server is None or one.at_server[0] != other.at_server[0]:
        return None
    return one.at_server[1] < other.at_server[1]


def _effect(record: Handled, nested: Sequence[Handled]) -> _Effect:
    reply = record.reply if isinstance(record.reply, dict) else {}
    seat, head = _number(reply.get("seat")), _number(reply.get("lastEventId"))
    seated = seat is not None and seat == head
    own = [each for each in nested if each.envelope.type != "GetRouterCapabilities"]
    return _Effect(
        record,
        begun(record),
        record.at.timestamp(),
        wrote=seat if seated else None,
        read=None if seated else head,
        made=str(reply.get("id")) if record.reply_type == "ProducerCreated" else None,
        listed=_ids(reply.get("producers")) if record.reply_type in _LISTS else None,
        at_server=(own[0].process, own[0].number) if own else None,
    )


def _number(value: JsonValue) -> int | None:
    return value if isinstance(value, int) else None


def _ids(producers: JsonValue) -> frozenset[str]:
    found = producers if isinstance(producers, list) else []
    return frozenset(str(one.get("id")) for one in found if isinstance(one, dict))
