"""What a meeting's log says of the meeting. Pure: events in, in their order, a state out.

Whoever has read the whole log knows what `GetMeeting` answers at its last event: where the meeting lives, who is seated, what is sent.
A move ends what older epochs sent, an end everything; sequences go on through both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from contracts.events import (
    EVENTS,
    Event,
    MeetingCreatedEvent,
    MeetingEndedEvent,
    MeetingMovedEvent,
    MeetingUnplacedEvent,
    ParticipantJoinedEvent,
    ParticipantLeftEvent,
    ParticipantReplacedEvent,
    ProducerClosedEvent,
    ProducerCreatedEvent,
    ProducerPausedEvent,
    ProducerResumedEvent,
)
from contracts.ids import MediaServerId, ParticipantId, ProducerId
from contracts.meeting import Capacity

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Producer:
    """A track that somebody sends."""

    participant: ParticipantId
    kind: str
    paused: bool


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting as of one event."""

    sequence: int = 0
    epoch: int = 0
    server: MediaServerId | None = None
    capacity: Capacity | None = None
    ended: bool = True
    seats: Mapping[ParticipantId, int] = field(default_factory=dict)
    producers: Mapping[ProducerId, Producer] = field(default_factory=dict)


class OutOfOrder(Exception):
    """An event is missing, or came twice."""


def event(type: str, body: str) -> Event | None:
    """Return the event that an entry of the log carries; None for one of a newer version."""
    known = EVENTS.get(type)
    return None if known is None else known.model_validate_json(body)


def fold(meeting: Meeting, events: Iterable[tuple[int, Event | None]]) -> Meeting:
    """Return the meeting after these events, each with its sequence. Raises OutOfOrder."""
    for sequence, told in events:
        if sequence != meeting.sequence + 1:
            raise OutOfOrder(f"{sequence} came after {meeting.sequence}")
        meeting = replace(_after(meeting, sequence, told), sequence=sequence)
    return meeting


def _after(meeting: Meeting, sequence: int, told: Event | None) -> Meeting:
    match told:
        case MeetingCreatedEvent():
            kept = {} if meeting.ended else meeting.seats
            return Meeting(0, told.epoch, told.media_server_id, told.capacity, ended=False, seats=kept)
        case MeetingMovedEvent():
            return replace(meeting, epoch=told.epoch, server=told.media_server_id, producers={})
        case MeetingUnplacedEvent():
            return replace(meeting, epoch=told.epoch, server=None, producers={})
        case MeetingEndedEvent():
            return replace(meeting, ended=True, server=None, seats={}, producers={})
        case ParticipantJoinedEvent() | ParticipantReplacedEvent():
            return replace(meeting, seats={**meeting.seats, told.participant_id: sequence})
        case ParticipantLeftEvent():
            return replace(meeting, seats=_without(meeting.seats, told.participant_id))
        case _:
            return replace(meeting, producers=_producers_after(meeting.producers, told))


def _producers_after(producers: Mapping[ProducerId, Producer], told: Event | None) -> Mapping[ProducerId, Producer]:
    match told:
        case ProducerCreatedEvent():
            return {**producers, told.producer_id: Producer(told.participant_id, told.kind, told.paused)}
        case ProducerPausedEvent() | ProducerResumedEvent() if told.producer_id in producers:
            paused = isinstance(told, ProducerPausedEvent)
            return {**producers, told.producer_id: replace(producers[told.producer_id], paused=paused)}
        case ProducerClosedEvent():
            return _without(producers, told.producer_id)
        case _:
            return producers


def _without(things: Mapping[KeyT, ValueT], gone: KeyT) -> dict[KeyT, ValueT]:
    return {key: value for key, value in things.items() if key != gone}
