"""The sweep: what nobody asked for but must happen. One kendra at a time, under an advisory lock that no transaction holds.

* A seat without a transport is given up, a meeting without a participant ends, both after a while.
* Closings that a media server has not confirmed are asked for again.
* Boots of media servers that nobody heard of for long are buried: who sat there has no transport any more.
* Rows past their time are deleted.
What asks media servers does so side by side, so that a deaf one holds up nobody else. Each step may fail; the next round tries
again. The relay has rounds of its own in every kendra, without a lock.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from contracts.failure import KendraError
from contracts.ids import MeetingId, TenantId
from contracts.join_meeting import CloseSeats
from services.bus import Call
from services.kendra.flows.closing import close_if_it_runs
from services.kendra.metrics import SWEPT
from services.kendra.settings import Settings
from services.kendra.store.cleaning import SeatKey
from services.kendra.store.database import Database
from services.kendra.world import World

log = structlog.stdlib.get_logger("sweep")

LOCK = 0x_6B65_6E64
_EVERY = 1.0
_FORGET_EVERY = 60.0
_SILENT = 600.0
"""A media server that renewed no lease for so long, seconds, and that no join or create had buried, is buried by the sweep."""
_STEP = 5.0


class Sweep:
    """The rounds of one process."""

    def __init__(self, world: World, database: Database, settings: Settings) -> None:
        self._world = world
        self._database = database
        self._settings = settings
        self._forgot_at = float("-inf")

    async def forever(self) -> None:
        """Relay what is left and sweep, each second; neither waits for the other."""
        await asyncio.gather(_each_second("relay", self._world.events.round), _each_second("sweep", self.round))

    async def round(self) -> None:
        """Sweep once, unless another kendra does."""
        async with self._database.alone(LOCK) as alone:
            if alone:
                for step in (self._ghosts, self._closings, self._empty, self._silent, self._forget):
                    await _logged(step.__name__.strip("_"), step())

    async def _ghosts(self) -> None:
        found = await self._world.store.cleaning.ghosts(self._settings.seat_unused, self._settings.seat_lost)
        for ghost in found:
            with suppress(KendraError):
                if await self._world.store.seats.clear(ghost.tenant, ghost.meeting, ghost.participant, ghost.seat):
                    SWEPT.labels("seat").inc()
                    self._world.events.start(_call(ghost.tenant, ghost.meeting))

    async def _closings(self) -> None:
        found = await self._world.store.cleaning.unconfirmed(self._settings.lease)
        await asyncio.gather(*(self._close(seat) for seat in found))

    async def _close(self, seat: SeatKey) -> None:
        order = CloseSeats(participant_id=seat.participant, below=seat.seat, reason="left")
        with suppress(KendraError):
            await close_if_it_runs(order, _call(seat.tenant, seat.meeting), self._world)
            SWEPT.labels("closing").inc()

    async def _empty(self) -> None:
        found = await self._world.store.cleaning.empty(self._settings.meeting_empty)
        await asyncio.gather(*(self._end(tenant, meeting) for tenant, meeting in found))

    async def _end(self, tenant: TenantId, meeting: MeetingId) -> None:
        call = _call(tenant, meeting)
        with suppress(KendraError):
            left_behind = await self._world.store.meetings.end_if_empty(tenant, meeting, self._settings.meeting_empty)
            SWEPT.labels("meeting").inc()
            self._world.events.start(call)
            if left_behind is not None:
                await self._world.media.close_router(left_behind, call)

    async def _silent(self) -> None:
        if self._world.servers.settled():
            for _ in range(await self._world.store.servers.forget(_SILENT)):
                SWEPT.labels("server").inc()

    async def _forget(self) -> None:
        if time.monotonic() - self._forgot_at < _FORGET_EVERY:
            return
        kept = self._settings
        if await self._world.store.cleaning.forget(kept.steps_kept, kept.placements_kept, kept.meetings_kept):
            self._forgot_at = time.monotonic()


def _call(tenant: TenantId, meeting: MeetingId) -> Call:
    return Call.begin(tenant, meeting, _STEP)


async def _each_second(what: str, round: Callable[[], Awaitable[None]]) -> None:
    while True:
        began = time.monotonic()
        await _logged(what, round())
        await asyncio.sleep(max(0.0, _EVERY - (time.monotonic() - began)))


async def _logged(what: str, work: Awaitable[None]) -> None:
    """Let one part fail without the others."""
    try:
        await work
    except KendraError as error:
        log.info("a round was cut short", what=what, reason=error.reason)
    except Exception:
        log.exception("a round broke", what=what)
