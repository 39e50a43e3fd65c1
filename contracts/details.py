"""Reading a meeting: details in one snapshot, placement with its reasons, stats of what flows."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field, JsonValue

from contracts.ids import ConsumerId, Epoch, MediaServerId, MeetingId, ProducerId, RouterId, TransportId
from contracts.meeting import (
    Capacity,
    ConsumerView,
    MeetingState,
    ParticipantView,
    ProducerView,
    TransportView,
)
from contracts.message import Command, Message, Reply


class MeetingDetails(Reply):
    """The meeting as one snapshot; the last three lists are the caller's own (empty for an admin who names no participant)."""

    meeting_id: MeetingId
    state: MeetingState
    epoch: Epoch
    media_server_id: MediaServerId | None = None
    router_id: RouterId | None = None
    capacity: Capacity
    participants: list[ParticipantView]
    producers: list[ProducerView]
    last_event_id: int
    own_transports: list[TransportView] = Field(default_factory=list)
    own_producers: list[ProducerView] = Field(default_factory=list)
    own_consumers: list[ConsumerView] = Field(default_factory=list)


class GetMeeting(Command[MeetingDetails]):
    """What is in the meeting, as of which event?"""

    reads = True


class Unfit(StrEnum):
    """Why a media server could not be taken: this meeting was refused there, its lease is over, it has no room, or the policy is against it."""

    TRIED = "tried"
    SILENT = "silent"
    DRAINING = "draining"
    FULL = "full"
    AVOIDED = "avoided"
    BUSY = "busy"


class Candidate(Message):
    """A media server as the decision saw it. `rejected` says in words why it could not be taken, `unfit` in one.

    `fresh` of the booked streams were booked since CPU and egress were measured.
    """

    media_server_id: MediaServerId
    capacity: int
    booked: int
    cpu: float
    egress: float
    utilization: float
    rejected: str | None = None
    fresh: int = 0
    unfit: Unfit | None = None


class Decision(Message):
    """Why a meeting went where it went."""

    at: datetime
    epoch: Epoch
    streams: int
    chosen: MediaServerId | None
    reason: str
    candidates: list[Candidate]


class KeptRouter(Message):
    """A router of an older epoch on a server that is being emptied: it goes on forwarding until then, or until its last transport is gone."""

    media_server_id: MediaServerId
    epoch: Epoch
    keep_until: datetime


class PlacementExplained(Reply):
    """All decisions about the meeting that are kept, oldest first, and the router that its last move left forwarding, as long as it does."""

    meeting_id: MeetingId
    decisions: list[Decision]
    kept: KeptRouter | None = None


class GetPlacement(Command[PlacementExplained]):
    """Why does the meeting live where it lives?"""

    reads = True


class StatsRead(Reply):
    """Stats objects; field names are mediasoup's."""

    stats: list[dict[str, JsonValue]]


class GetTransportStats(Command[StatsRead]):
    """What flows through one of the caller's transports?"""

    reads = True
    transport_id: TransportId


class GetProducerStats(Command[StatsRead]):
    """What comes in from one of the caller's producers?"""

    reads = True
    producer_id: ProducerId


class GetConsumerStats(Command[StatsRead]):
    """What goes out to one of the caller's consumers?"""

    reads = True
    consumer_id: ConsumerId
