"""What kendra is told without having asked. A notice may be lost: a sweep of kendra's, or the next notice, makes up for it."""

import asyncio
from collections.abc import Callable

from contracts.live import LostRouter, RelayEvents, RoutersLost
from contracts.message import Notice
from services.bus import KENDRA_COMMANDS, Bus, Call
from services.media_server.store import Allocated

RELAY_WITHIN = 2.0
LOST_WITHIN = 1.0


class Telling:
    """`bus` gives the bus once there is one."""

    def __init__(self, bus: Callable[[], Bus | None]) -> None:
        self._bus = bus
        self._tasks: set[asyncio.Task[None]] = set()

    def relay(self, of: Allocated) -> None:
        """Have kendra send a meeting's new events on."""
        self._tell(RelayEvents(), Call.begin(of.tenant, of.meeting, RELAY_WITHIN, epoch=of.epoch), RELAY_WITHIN)

    def lost(self, lost: RoutersLost, first: LostRouter) -> None:
        """Have kendra move the meetings of routers that are lost; the envelope names the first of them."""
        call = Call.begin(first.tenant, first.meeting_id, LOST_WITHIN, epoch=first.epoch)
        self._tell(lost, call, LOST_WITHIN)

    async def said(self) -> None:
        """Wait until everything was handed to the bus, which never takes long."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _tell(self, notice: Notice, call: Call, within: float) -> None:
        bus = self._bus()
        if bus is not None:
            task = asyncio.create_task(bus.tell(KENDRA_COMMANDS, notice, call, within))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
