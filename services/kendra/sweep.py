"""The sweep: what nobody asked for but must happen. One kendra at a time, under an advisory lock that no transaction holds.

* A seat that nobody uses is given up, a meeting without a participant ends, both after a while.
* Closings that a media server has not confirmed are asked for again.
* Boots of media servers that nobody heard of for long are buried: who sat there has no transport any more.
* Rows past their time are deleted.
What asks media servers does so side by side, so that a deaf one holds up nobody else. Each step may fail; the next round tries
again. The lock saves work and decides nothing: every step may be done twice, by a kendra that lost it too. The relay has rounds of its
own in every kendra, without a lock.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import astuple

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
from services.kendra.store.forgetting import Kept
from services.kendra.world import World

log = structlog.stdlib.get_logger("sweep")

LOCK = 0x_6B65_6E64
_EVERY = 1.0
_SEATS_PER_TIME = 10
"""How often in the shortest time after which a seat is given up all of them are looked at: that look grows with the seats."""
_FORGET_EVERY = 60.0
_STEP = 5.0
_ALWAYS = 365 * 86_400.0


class Hearing:
    """Since when this process takes what the queue has, without a break. Pure: `now` is monotonic."""

    def __init__(self) -> None:
        self._since: float | None = None

    def noted(self, hears: bool, now: float) -> None:
        """Take note of one look."""
        self._since = None if not hears else now if self._since is None else self._since

    def seconds(self, now: float) -> float:
        """Return for how long it has been so."""
        return 0.0 if self._since is None else now - self._since


class Cadence:
    """When something is due again. Pure: `now` is monotonic."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._done_at = float("-inf")

    def due(self, now: float) -> bool:
        """Say whether it is time. A round comes a moment early or late."""
        return now - self._done_at >= self._every - _EVERY / 2

    def done(self, now: float) -> None:
        """Take note that it was done."""
        self._done_at = now


class Sweep:
    """The rounds of one process. `hears` says whether it consumes commands: then it is told which seats are seen."""

    def __init__(self, world: World, database: Database, settings: Settings, hears: Callable[[], bool]) -> None:
        self._world = world
        self._database = database
        self._settings = settings
        self._hears = hears
        self._hearing = Hearing()
        self._kept = Kept(settings.steps_kept, settings.placements_kept, settings.events_kept, settings.meetings_kept)
        shortest = min(settings.seat_unused, settings.seat_lost, settings.seat_unseen)
        self._seats = Cadence(shortest / _SEATS_PER_TIME)
        self._forgetting = Cadence(min(_FORGET_EVERY, *astuple(self._kept)))

    async def forever(self) -> None:
        """Relay what is left and sweep, each second; neither waits for the other."""
        await asyncio.gather(_each_second("relay", self._world.events.round), _each_second("sweep", self.round))

    async def round(self) -> None:
        """Sweep once, unless another kendra does."""
        self._hearing.noted(self._hears(), time.monotonic())
        async with self._database.alone(LOCK, self._settings.sweep_unheard) as alone:
            if alone:
                for step in (self._ghosts, self._closings, self._empty, self._silent, self._forget):
                    await _logged(step.__name__.strip("_"), step())

    async def _ghosts(self) -> None:
        now = time.monotonic()
        if not self._seats.due(now):
            return
        unseen = self._unseen(now)
        found = await self._world.store.cleaning.ghosts(self._settings.seat_unused, self._settings.seat_lost, unseen)
        for ghost in found:
            with suppress(KendraError):
                if await self._world.store.seats.clear(
                    ghost.tenant, ghost.meeting, ghost.participant, ghost.seat, unseen
                ):
                    SWEPT.labels("seat").inc()
                    self._world.events.start(_call(ghost.tenant, ghost.meeting))
        self._seats.done(now)

    def _unseen(self, now: float) -> float:
        """Return how long nobody may have been seen in a seat. While nobody can tell us, nobody is missed."""
        unseen = self._settings.seat_unseen
        return unseen if self._hearing.seconds(now) >= unseen else _ALWAYS

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
        cleaning = self._world.store.cleaning
        if self._world.servers.settled():
            SWEPT.labels("server").inc(await cleaning.bury_silent(self._settings.server_silent))
            SWEPT.labels("booking").inc(await cleaning.forget_bookings(self._settings.server_forgotten))

    async def _forget(self) -> None:
        now = time.monotonic()
        if not self._forgetting.due(now):
            return
        SWEPT.labels("orphan").inc(await self._world.store.cleaning.bury_orphans(self._settings.server_silent))
        if await self._world.store.forgetting.everything(self._kept):
            self._forgetting.done(now)


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
