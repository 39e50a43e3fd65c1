"""What the flows work in. `main` builds it; everything here lives as long as the process."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from contracts.ids import BootId, MediaServerId
from contracts.message import Reply
from contracts.rtp import IceServer
from services.bus import Call
from services.media_server.closing import Closings
from services.media_server.lease import Lease
from services.media_server.once import Once
from services.media_server.recording import Change, Recorder, nothing
from services.media_server.registry import Registry
from services.media_server.store import Record, Store
from sfu.worker import Worker


@dataclass(frozen=True, slots=True)
class World:
    server: MediaServerId
    boot: BootId
    workers: list[Worker]
    """Those that run now."""
    ice_servers: list[IceServer]
    registry: Registry
    store: Store
    recorder: Recorder
    closings: Closings
    once: Once
    lease: Lease

    def recording(
        self, call: Call, reply: Reply, *, landed: Change = nothing, failed: Change = nothing
    ) -> AbstractAsyncContextManager[Record]:
        """Open the command's transaction; see Recorder."""
        return self.recorder.recording(call, reply, landed=landed, failed=failed)
