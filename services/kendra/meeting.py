"""What a meeting's log says of the meeting. Pure: events in, in their order, a state out.

Whoever has read the whole log knows what `GetMeeting` answers at its last event: where the meeting lives, who is seated, what is sent.
A move ends what older epochs sent, an end everything; sequences go on through both. Whoever gives up a seat sends nothing from then
on: that what hung from the seat closes is told later. A state as JSON stands for a log's beginning that was forgotten.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

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
from contracts.meeting import AppData, Capacity

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody who sits in the meeting. The seat is the sequence of the event that gave it."""

    seat: int
    display_name: str | None = None


@dataclass(frozen=True, slots=True)
class Producer:
    """A track that somebody sends."""

    participant: ParticipantId
    kind: str
    paused: bool
    app_data: AppData = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting as of one event. Without a server it waits for a place, or is over."""

    sequence: int = 0
    epoch: int = 0
    server: MediaServerId | None = None
    capacity: Capacity | None = None
    ended: bool = True
    participants: Mapping[ParticipantId, Participant] = field(default_factory=dict)
    producers: Mapping[ProducerId, Producer] = field(default_factory=dict)

    @property
    def seats(self) -> Mapping[ParticipantId, int]:
        """Who sits where."""
        return {participant: one.seat for participant, one in self.participants.items()}


_JSON = TypeAdapter(Meeting)


class OutOfOrder(Exception):
    """An event is missing, or came twice."""


def event(type: str, body: str) -> Event | None:
    """Return the event that an entry of the log carries; None for one that only another version can read."""
    try:
        return EVENTS[type].model_validate_json(body)
    except (KeyError, ValidationError):
        return None


def as_json(meeting: Meeting) -> str:
    """Return the state as it is kept when the events it came from are forgotten."""
    return _JSON.dump_json(meeting).decode()


def from_json(state: str) -> Meeting:
    """Return the state that was kept."""
    return _JSON.validate_json(state)


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
            kept = {} if meeting.ended else meeting.participants
            return Meeting(0, told.epoch, told.media_server_id, told.capacity, ended=False, participants=kept)
        case MeetingMovedEvent():
            return replace(meeting, epoch=told.epoch, server=told.media_server_id, producers={})
        case MeetingUnplacedEvent():
            return replace(meeting, epoch=told.epoch, server=None, producers={})
        case MeetingEndedEvent():
            return Meeting(epoch=meeting.epoch + 1, capacity=meeting.capacity)
        case ParticipantJoinedEvent() | ParticipantReplacedEvent() | ParticipantLeftEvent():
            return _seated_after(meeting, sequence, told)
        case _:
            return replace(meeting, producers=_producers_after(meeting.producers, told))


def _seated_after(
    meeting: Meeting, sequence: int, told: ParticipantJoinedEvent | ParticipantReplacedEvent | ParticipantLeftEvent
) -> Meeting:
    """Return the meeting with the seat taken or given up; what was sent from the one before is over."""
    others = _without(meeting.participants, told.participant_id)
    if not isinstance(told, ParticipantLeftEvent):
        others[told.participant_id] = Participant(sequence, told.display_name)
    sent = {id: one for id, one in meeting.producers.items() if one.participant != told.participant_id}
    return replace(meeting, participants=others, producers=sent)


def _producers_after(producers: Mapping[ProducerId, Producer], told: Event | None) -> Mapping[ProducerId, Producer]:
    match told:
        case ProducerCreatedEvent():
            sent = Producer(told.participant_id, told.kind.value, told.paused, told.app_data)
            return {**producers, told.producer_id: sent}
        case ProducerPausedEvent() | ProducerResumedEvent() if told.producer_id in producers:
            paused = isinstance(told, ProducerPausedEvent)
            return {**producers, told.producer_id: replace(producers[told.producer_id], paused=paused)}
        case ProducerClosedEvent():
            return _without(producers, told.producer_id)
        case _:
            return producers


def _without(things: Mapping[KeyT, ValueT], gone: KeyT) -> dict[KeyT, ValueT]:
    return {key: value for key, value in things.items() if key != gone}
