"""Between media server and kendra: what the server has in memory, and notices that nobody answers."""

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


class LiveEvent(Message):
    """An event that is worthless when late; it has no sequence."""

    type: str
    body: dict[str, JsonValue]
    to: ParticipantId | None = None


class LiveEvents(Notice):
    """Media server to kendra: tell the meeting's clients now or never."""

    events: list[LiveEvent] = Field(max_length=64)
