"""Which recorded commands are sent again, in which order, and what each is expected to come to. Pure.

* Each meeting has a line of its own, in the order in which its commands took effect (`order.py`); lines run side by side.
* A meeting that ran before the recording is left out: nothing of it could be found elsewhere.
* A command that ended for a passing cause (a timeout, somebody away, a full line) says nothing about the command. If it was repeated,
  the repeat stands for it; if a media server carried it out all the same, it is sent for its effect and its reply is not compared;
  else it is left out, because to send it might do what did not happen then.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID, uuid5

from pydantic import JsonValue

from contracts.failure import Busy, DeadlineExceeded, Failure, MediaServerUnavailable, RateLimited, Unavailable
from contracts.handled import Handled
from contracts.ids import MeetingId, TenantId
from services.bus import NO_MEETING
from services.cli.recording.lines import EndState
from services.cli.recording.order import begun, in_order_of_effect

KENDRA, MEDIA = "kendra", "media"
PASSING = frozenset(error.code for error in (DeadlineExceeded, Unavailable, MediaServerUnavailable, Busy, RateLimited))
"""Failures that say something of the moment and nothing of the command."""

_OF_KENDRA_ITSELF = frozenset({"AllocateRouter", "GetRouterCapabilities", "CloseSeats", "CloseRouter", "ListLive"})
"""What kendra also asks for by itself, when it moves or sweeps; the other deployment's kendra has reasons of its own."""

Key = tuple[TenantId, MeetingId]


class Why(StrEnum):
    """Why a command is not sent."""

    NOTICE = "notices, which nobody answers"
    SERVERS = "commands about servers, not about a meeting"
    BEFORE = "commands in meetings that ran before the recording began"
    REPEATED = "commands that a later repeat stands for"
    UNKNOWN = "commands that ended for a passing cause and were not repeated"
    IN_FLIGHT = "commands in flight when the recording ended"


@dataclass(frozen=True, slots=True)
class Expected:
    """A recorded reply."""

    type: str
    body: JsonValue

    @property
    def code(self) -> str | None:
        """The failure's code; None for a success."""
        return str(self.body.get("code")) if self.type == Failure.__name__ and isinstance(self.body, dict) else None


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One command to send: its place in its line from 1, when it began (seconds after the first of all), what it came to."""

    number: int
    record: Handled
    begun: float
    expected: Expected
    compared: bool = True
    outer: UUID | None = None
    """For a media server's command: the command of kendra that it is nested in, if it is."""

    @property
    def name(self) -> str:
        """The command, and whose it is."""
        who = self.record.envelope.actor.participant
        return f"{self.record.envelope.type} of {who}" if who else self.record.envelope.type


@dataclass(slots=True)
class Line:
    """One meeting's commands, and what the meeting was in the end, if the recording says so."""

    key: Key
    steps: list[Step] = field(default_factory=list)
    end: EndState | None = None


@dataclass(slots=True)
class Plan:
    """All lines, and what is left out."""

    lines: list[Line]
    left_out: dict[Why, list[Handled]]

    @property
    def steps(self) -> int:
        """How many commands will be sent."""
        return sum(len(line.steps) for line in self.lines)


def plan_of(handled: Iterable[Handled], states: Iterable[EndState], *, server: bool = False) -> Plan:
    """Plan the replay of kendra's commands, with `server` also of the media servers'."""
    left_out: dict[Why, list[Handled]] = defaultdict(list)
    kendras, medias = _by_meeting(handled, left_out)
    ends = {(state.tenant, state.meeting): state for state in states}
    lines = []
    for key, records in kendras.items():
        if not _began_here(records):
            left_out[Why.BEFORE] += records
            continue
        line = Line(key, _chosen(records, medias.get(key, []), left_out, server=server), ends.get(key))
        if line.steps:
            lines.append(line)
    first = min((step.begun for line in lines for step in line.steps), default=0.0)
    for line in lines:
        line.steps = [_placed(step, number, first) for number, step in enumerate(line.steps, 1)]
    return Plan(sorted(lines, key=lambda line: line.steps[0].begun), dict(left_out))


def _by_meeting(
    handled: Iterable[Handled], left_out: dict[Why, list[Handled]]
) -> tuple[dict[Key, list[Handled]], dict[Key, list[Handled]]]:
    found: dict[str, dict[Key, list[Handled]]] = {KENDRA: defaultdict(list), MEDIA: defaultdict(list)}
    for record in sorted(handled, key=begun):
        key = (record.envelope.tenant, record.envelope.meeting)
        if record.service == MEDIA and key[1] != NO_MEETING and record.reply_type is not None:
            found[MEDIA][key].append(record)
        elif record.service == KENDRA:
            why = Why.NOTICE if record.reply_type is None else Why.SERVERS if key[1] == NO_MEETING else None
            (found[KENDRA][key] if why is None else left_out[why]).append(record)
    return found[KENDRA], found[MEDIA]


def _began_here(records: list[Handled]) -> bool:
    """Say whether the meeting did not run when its recording began: the first thing that succeeded is a create that found nothing."""
    for record in records:
        if record.reply_type != Failure.__name__:
            created = record.reply if isinstance(record.reply, dict) else {}
            return record.envelope.type == "CreateMeeting" and not created.get("repeated", False)
    return True


def _chosen(
    records: list[Handled], nested: list[Handled], left_out: dict[Why, list[Handled]], *, server: bool
) -> list[Step]:
    of_outer, orphans = _nested_in(records, nested)
    definite = {record.envelope.command_id for record in records if not _passing(record)}
    steps: list[Step] = []
    for record in in_order_of_effect(records, of_outer):
        own = of_outer.get(record.envelope.command_id, [])
        step = _step(record, own)
        if _passing(record) and record.envelope.command_id in definite:
            left_out[Why.REPEATED].append(record)
        elif step is None:
            left_out[Why.UNKNOWN].append(record)
        else:
            steps.append(step)
            if server:
                steps += [_direct(each, record) for each in own if not _passing(each)]
    in_flight = [each for each in orphans if each.envelope.type not in _OF_KENDRA_ITSELF]
    if in_flight:
        left_out[Why.IN_FLIGHT] += in_flight
    for each in in_flight if server else ():
        if not _passing(each):
            _insert(steps, _direct(each, None))
    return steps


def _insert(steps: list[Step], new: Step) -> None:
    """Put a step before the first one that began later."""
    later = (number for number, step in enumerate(steps) if step.begun > new.begun)
    steps.insert(next(later, len(steps)), new)


def _nested_in(records: list[Handled], nested: list[Handled]) -> tuple[Mapping[UUID, list[Handled]], list[Handled]]:
    """Return a media server's records by the command that they are nested in, and those that are in none of these."""
    by_trace: dict[str, set[UUID]] = defaultdict(set)
    for record in records:
        by_trace[_trace(record)].add(record.envelope.command_id)
    found: dict[UUID, list[Handled]] = defaultdict(list)
    orphans: list[Handled] = []
    for each in nested:
        outer = next((one for one in by_trace[_trace(each)] if _is_nested(each, one)), None)
        (orphans if outer is None else found[outer]).append(each)
    return found, orphans


def nested_id(outer: UUID, type: str, body: JsonValue, epoch: int | None) -> UUID:
    """Return the id that kendra gives the command that it nests in another."""
    step = type
    if type == "CloseSeats" and isinstance(body, dict):
        step = f"CloseSeats:{body.get('participantId')}:{body.get('below')}"
    return uuid5(outer, f"{step}:{epoch}")


def _is_nested(record: Handled, outer: UUID) -> bool:
    envelope = record.envelope
    return nested_id(outer, envelope.type, record.command, envelope.epoch) == envelope.command_id


def _trace(record: Handled) -> str:
    return record.envelope.traceparent[3:35]


def _expected(record: Handled) -> Expected:
    return Expected(record.reply_type or "", record.reply)


def _passing(record: Handled) -> bool:
    return _expected(record).code in PASSING


def _step(record: Handled, nested: list[Handled]) -> Step | None:
    """Return the step; None when nobody knows whether the command had its effect."""
    if not _passing(record):
        return Step(0, record, begun(record), _expected(record))
    done = [each for each in nested if each.reply_type != Failure.__name__]
    carried_out = [each for each in done if each.envelope.type not in _OF_KENDRA_ITSELF - {"AllocateRouter"}]
    return Step(0, record, begun(record), _expected(carried_out[-1]), compared=False) if carried_out else None


def _direct(record: Handled, outer: Handled | None) -> Step:
    """Return the step of a media server's command: never before the one that it is nested in, whatever two machines' clocks say."""
    at = begun(record) if outer is None else max(begun(record), begun(outer))
    return Step(0, record, at, _expected(record), outer=None if outer is None else outer.envelope.command_id)


def _placed(step: Step, number: int, first: float) -> Step:
    return Step(number, step.record, step.begun - first, step.expected, step.compared, step.outer)
