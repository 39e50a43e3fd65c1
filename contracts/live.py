"""What nobody answers, and what a media server has in memory: between media server, gateway and kendra."""

from pydantic import Field, JsonValue

from contracts.ids import (
    BootId,
    ConsumerId,
    Epoch,
    MediaServerId,
    MeetingId,
    ParticipantId,
    ProducerId,
    RouterId,
    Seat,
    TenantId,
    TransportId,
)
from contracts.message import Command, Message, Notice, Reply


class LiveRouter(Message):
    """One router with all that hangs from it."""

    tenant: TenantId
    meeting_id: MeetingId
    epoch: Epoch
    router_id: RouterId
    transports: list[TransportId]
    producers: list[ProducerId]
    consumers: list[ConsumerId]


class LiveListed(Reply):
    """What the media server has in memory, not what its rows say."""

    media_server_id: MediaServerId
    boot_id: BootId
    routers: list[LiveRouter]


class ListLive(Command[LiveListed]):
    """What do you have in memory?"""

    reads = True


class RelayEvents(Notice):
    """Media server to kendra: events of this meeting were committed; send them on. The envelope names the meeting."""


class LostRouter(Message):
    """A router that died with its worker. Its allocation stays in the rows until its meeting has moved."""

    tenant: TenantId
    meeting_id: MeetingId
    epoch: Epoch
    router_id: RouterId


class RoutersLost(Notice):
    """Media server to kendra: a worker died; these meetings must move, possibly to this server again. Told until they are gone."""

    routers: list[LostRouter] = Field(max_length=200)


class SeenSeat(Message):
    """A seat whose event stream is open."""

    tenant: TenantId
    meeting_id: MeetingId
    participant_id: ParticipantId
    seat: Seat


class SeatsSeen(Notice):
    """Gateway to kendra, each few seconds: somebody follows the events in these seats."""

    seats: list[SeenSeat] = Field(max_length=500)


class LiveEvent(Message):
    """An event that is worthless when late; it has no sequence."""

    type: str
    body: dict[str, JsonValue]
    to: ParticipantId | None = None


class LiveEvents(Notice):
    """Media server to kendra: tell the meeting's clients now or never."""

    events: list[LiveEvent] = Field(max_length=64)
