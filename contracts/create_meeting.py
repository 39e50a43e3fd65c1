"""Create meeting: kendra picks a media server and books it; the server picks a worker and makes the meeting's router."""

from pydantic import Field

from contracts.ids import Epoch, MediaServerId, MeetingId, RouterId, WorkerId
from contracts.meeting import Capacity, MeetingState
from contracts.message import Command, Reply


class MeetingCreated(Reply):
    """The meeting runs. `repeated` when it did before this command."""

    meeting_id: MeetingId
    media_server_id: MediaServerId
    router_id: RouterId
    epoch: Epoch
    state: MeetingState
    repeated: bool = False


class CreateMeeting(Command[MeetingCreated]):
    """Start a meeting, or find it running with the same settings."""

    meeting_id: MeetingId | None = None
    capacity: Capacity = Field(default_factory=Capacity)


class RouterAllocated(Reply):
    """The router exists and the allocation is written."""

    router_id: RouterId
    worker_id: WorkerId


class AllocateRouter(Command[RouterAllocated]):
    """Kendra to media server: make the meeting's router on your least loaded worker and write the allocation of this epoch."""

    capacity: Capacity
