"""What a meeting's clients are told, in the meeting's order. Past tense; the class's `type` is the SSE event's name.

In the Redis Stream `events:{<tenant>:<meeting>:<incarnation>}` an event is the entry `<sequence>-0` with the fields `type`, `epoch`,
`at` (ISO 8601), `to` (a participant, or empty for all) and `body` (JSON, one of the models below).
"""

from datetime import datetime
from typing import ClassVar, Literal

from contracts.ids import ConsumerId, Epoch, MediaServerId, ParticipantId, ProducerId, TransportId
from contracts.meeting import AppData, Capacity, Direction, DisplayName
from contracts.message import Message
from contracts.rtp import Kind

ClosedBecause = Literal[
    "closed",
    "transport_closed",
    "producer_closed",
    "recreated",
    "replaced",
    "left",
    "kicked",
    "dtls_closed",
    "dtls_failed",
    "consent_lost",
    "server_restarted",
]


class Event(Message):
    """The body of a state event."""

    type: ClassVar[str]


class MeetingCreatedEvent(Event):
    type: ClassVar[str] = "MeetingCreated"
    media_server_id: MediaServerId
    epoch: Epoch
    capacity: Capacity


class ParticipantJoinedEvent(Event):
    type: ClassVar[str] = "ParticipantJoined"
    participant_id: ParticipantId
    display_name: DisplayName | None = None


class ParticipantReplacedEvent(Event):
    """Another instance of the participant took the seat; what the old one sent is closed by events of its own."""

    type: ClassVar[str] = "ParticipantReplaced"
    participant_id: ParticipantId
    display_name: DisplayName | None = None


class ParticipantLeftEvent(Event):
    type: ClassVar[str] = "ParticipantLeft"
    participant_id: ParticipantId
    reason: Literal["left", "kicked", "gone"]


class ProducerCreatedEvent(Event):
    type: ClassVar[str] = "ProducerCreated"
    producer_id: ProducerId
    participant_id: ParticipantId
    kind: Kind
    paused: bool
    app_data: AppData


class ProducerPausedEvent(Event):
    type: ClassVar[str] = "ProducerPaused"
    producer_id: ProducerId
    participant_id: ParticipantId


class ProducerResumedEvent(Event):
    type: ClassVar[str] = "ProducerResumed"
    producer_id: ProducerId
    participant_id: ParticipantId


class ProducerClosedEvent(Event):
    type: ClassVar[str] = "ProducerClosed"
    producer_id: ProducerId
    participant_id: ParticipantId
    reason: ClosedBecause


class ConsumerClosedEvent(Event):
    """Told to the consumer's own participant only."""

    type: ClassVar[str] = "ConsumerClosed"
    consumer_id: ConsumerId
    producer_id: ProducerId
    participant_id: ParticipantId
    reason: ClosedBecause


class TransportClosedEvent(Event):
    """Told to the transport's own participant only."""

    type: ClassVar[str] = "TransportClosed"
    transport_id: TransportId
    participant_id: ParticipantId
    direction: Direction
    reason: ClosedBecause


class MeetingMovedEvent(Event):
    """The meeting lives elsewhere; everything of an older epoch is over. Make the transports anew."""

    type: ClassVar[str] = "MeetingMoved"
    media_server_id: MediaServerId
    epoch: Epoch
    keep_until: datetime | None = None
    """A drain: until then the old transports go on sending and receiving, unless the new ones take their place before."""


class MeetingUnplacedEvent(Event):
    """The meeting's media server is gone and no other has room; everything of an older epoch is over. `MeetingMoved` follows when one has."""

    type: ClassVar[str] = "MeetingUnplaced"
    epoch: Epoch


class MeetingEndedEvent(Event):
    type: ClassVar[str] = "MeetingEnded"


class LogResetEvent(Event):
    """The log went back (a restore); fetch the meeting."""

    type: ClassVar[str] = "LogReset"


EVENTS: dict[str, type[Event]] = {event.type: event for event in Event.__subclasses__()}
