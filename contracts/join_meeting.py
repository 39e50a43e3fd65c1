"""Join: a participant's instance takes a seat and learns what the router can carry and who is there."""

from typing import Literal

from pydantic import Field

from contracts.ids import Epoch, InstanceId, MediaServerId, ParticipantId, RouterId, Seat
from contracts.meeting import DisplayName, ParticipantView, ProducerView
from contracts.message import Command, Reply
from contracts.rtp import RtpCapabilities


class MeetingJoined(Reply):
    """The instance holds the seat. Events up to and including `last_event_id` are contained in the lists."""

    participant_id: ParticipantId
    instance_id: InstanceId
    seat: Seat
    rtp_capabilities: RtpCapabilities
    router_id: RouterId
    media_server_id: MediaServerId
    epoch: Epoch
    participants: list[ParticipantView]
    producers: list[ProducerView]
    last_event_id: int


class JoinMeeting(Command[MeetingJoined]):
    """Take a seat; the same instance keeps the one it has, another instance of the participant replaces it."""

    participant_id: ParticipantId
    instance_id: InstanceId
    display_name: DisplayName | None = None


class RouterCapabilities(Reply):
    """What the meeting's router can carry; it lives."""

    router_id: RouterId
    rtp_capabilities: RtpCapabilities


class GetRouterCapabilities(Command[RouterCapabilities]):
    """Kendra to media server: what can the meeting's router carry? Never cached, for the answer proves that the router lives."""

    reads = True


class SeatsClosed(Reply):
    """Nothing of that participant below that seat is left, nor will be accepted, as long as the router lives."""

    closed_below: int = Field(ge=0)


class CloseSeats(Command[SeatsClosed]):
    """Kendra to media server: close what the participant's seats below `below` have, and refuse them from now on.

    `reason` is what the events of what closes say.
    """

    participant_id: ParticipantId
    below: int = Field(ge=0)
    reason: Literal["replaced", "left", "kicked"] = "left"
