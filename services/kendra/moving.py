"""Moving: every kendra looks for meetings that no media server carries any more, and brings them to life elsewhere.

* No lock says which kendra does it, so none that is frozen or slow holds up the others: under the meeting's own lock the epoch decides
  whose move counts, and the others' change nothing.
* A server is dead when its boot is gone or was followed by a newer one, or when its lease is surely over (`servers.py`). The look after
  next comes when the next lease ends, so a death is seen when it can be, not a round later.
* A meeting that waits for a place is tried again while somebody sits in it and a server has room, with longer and longer pauses when
  the servers refuse. So is one whose router was not made because its kendra died.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from contracts.failure import KendraError
from contracts.ids import MeetingId, TenantId
from services.bus import Call
from services.kendra.flows.placing import live
from services.kendra.place import Lease
from services.kendra.store.moving import Found
from services.kendra.world import World

log = structlog.stdlib.get_logger("moving")

_LONGEST = 0.5
_SHORTEST = 0.02
_LOOKS_PER_LEASE = 10
_AT_ONCE = 32
"""Meetings that are being moved side by side: most of a move waits for a media server, and joins need connections too."""
_BUDGET = 4.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 10.0

Key = tuple[TenantId, MeetingId]


class Pauses:
    """How long to let a meeting be whose placing failed. Pure: `now` is monotonic."""

    def __init__(self) -> None:
        self._until: dict[Key, tuple[float, float]] = {}

    def over(self, key: Key, now: float) -> bool:
        """Say whether the meeting may be tried."""
        return key not in self._until or now >= self._until[key][0]

    def failed(self, key: Key, now: float) -> None:
        """Begin a pause, twice as long as the one before."""
        _, before = self._until.get(key, (0.0, _FIRST_PAUSE / 2))
        pause = min(2 * before, _LONGEST_PAUSE)
        self._until[key] = (now + pause, pause)

    def forget(self, key: Key) -> None:
        """Begin anew: it worked."""
        self._until.pop(key, None)

    def tidy(self, now: float) -> None:
        """Forget the meetings that nobody tried again for long: they are carried, or over."""
        self._until = {key: one for key, one in self._until.items() if now < one[0] + _LONGEST_PAUSE}


class Mover:
    """The rounds of one process. `lease` is how long a renewal is good for, seconds."""

    def __init__(self, world: World, lease: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._world = world
        self._every = min(_LONGEST, lease / _LOOKS_PER_LEASE)
        self._clock = clock
        self._pauses = Pauses()
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    @property
    def busy(self) -> bool:
        """Whether something is being moved."""
        return bool(self._running)

    async def forever(self) -> None:
        """Look again and again; what is being moved holds up no look."""
        try:
            while True:
                pause = await self._looked()
                await asyncio.sleep(pause)
        finally:
            for task in self._running.values():
                task.cancel()

    async def look(self) -> None:
        """Begin to move what has to move and is not being moved yet; a kendra that hears nothing could have no router made."""
        if not self._world.servers.hears():
            return
        found = await self._world.store.moving.not_carried()
        now = self._clock()
        self._pauses.tidy(now)
        waiting = [one for one in found if one.key not in self._running and self._pauses.over(one.key, now)]
        for one in [*self._dead(waiting), *await self._placeable(waiting)]:
            self._running[one.key] = asyncio.create_task(self._move(one), name=f"move {one.place.meeting}")

    async def _looked(self) -> float:
        """Look once; return after how long to look again."""
        try:
            await self.look()
            over = await self._world.store.moving.next_over()
        except KendraError as error:
            log.info("a look was cut short", reason=error.reason)
        except Exception:
            log.exception("a look broke")
        else:
            return self._every if over is None else min(self._every, max(over, 0.0) + _SHORTEST)
        return self._every

    def _dead(self, found: Sequence[Found]) -> list[Found]:
        """Return the placed meetings that are surely not carried; a lease that only looks over proves nothing."""
        placed = (one for one in found if one.place.server is not None)
        return [one for one in placed if one.place.lease is Lease.HELD or self._world.servers.dead(one.place)]

    async def _placeable(self, found: Sequence[Found]) -> list[Found]:
        """Return the meetings without a place that some server has room for."""
        unplaced = {one.place: one for one in found if one.place.server is None}
        return [unplaced[place] for place in await self._world.store.meetings.with_room(list(unplaced))]

    async def _move(self, one: Found) -> None:
        place = one.place
        try:
            async with self._slots:
                now = await live(place, Call.begin(place.tenant, place.meeting, _BUDGET), self._world)
        except KendraError as error:
            self._failed(one)
            log.warning("not moved", tenant=place.tenant, meeting=place.meeting, reason=error.reason)
        except Exception:
            self._failed(one)
            log.exception("a move broke", tenant=place.tenant, meeting=place.meeting)
        else:
            self._pauses.forget(one.key)
            log.info("runs again", tenant=place.tenant, meeting=place.meeting, server=now.server, epoch=now.epoch)
        finally:
            del self._running[one.key]

    def _failed(self, one: Found) -> None:
        self._pauses.failed(one.key, self._clock())
