"""Draining: every kendra looks which servers shall be emptied, and moves their meetings away, one by one while the time allows.

* The next meeting's turn comes when nobody is on the way any more: the router that the last one left is gone. When that would take
  longer than there is time, turns come at even intervals, so that all have begun before the deadline; what is left then goes at once.
* All kendras take the meetings in the same order, so two of them move the same one, and the meeting's lock lets one of them do it.
* A meeting that nobody else has room for stays where it is, and is tried again. Moving never takes a place away.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence

import structlog

from contracts.failure import KendraError
from services.bus import Call
from services.kendra.flows.placing import left
from services.kendra.moving import Key, Pauses
from services.kendra.store.draining import Progress
from services.kendra.store.moving import Found
from services.kendra.world import World

log = structlog.stdlib.get_logger("draining")

EVERY = 0.5
SHORTEST_KEEP = 3.0
"""However late it is, a router that was left goes on forwarding for so long, seconds: a client needs that to change over."""
_AT_ONCE = 16
_BUDGET = 4.0


def turns(progress: Progress) -> int:
    """Return for how many meetings it is time to begin. Pure."""
    time_left = progress.remaining - SHORTEST_KEEP
    if progress.seated == 0 or time_left <= 0:
        return progress.seated
    interval = time_left / progress.seated
    if progress.leaving and progress.since is not None and progress.since < interval:
        return 0
    return math.ceil(EVERY / interval)


def keep(progress: Progress, longest: float) -> float:
    """Return how long the router of a meeting that is moved now may go on, seconds. Pure."""
    return min(longest, max(progress.remaining, SHORTEST_KEEP))


class Drainer:
    """The rounds of one process. `longest_keep`: how long a router that was left may go on forwarding, seconds."""

    def __init__(self, world: World, longest_keep: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._world = world
        self._longest_keep = longest_keep
        self._clock = clock
        self._pauses = Pauses()
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def forever(self) -> None:
        """Look again and again; what is being moved holds up no look."""
        try:
            while True:
                await self._looked()
                await asyncio.sleep(EVERY)
        finally:
            for task in self._running.values():
                task.cancel()

    async def look(self) -> None:
        """Begin to move what has its turn, unless no router could be made, for the broker is away."""
        if not self._world.servers.hears():
            return
        self._pauses.tidy(self._clock())
        for progress in await self._world.store.draining.servers():
            there = await self._world.store.draining.there(progress.server)
            for one in await self._next(progress, there):
                seconds = keep(progress, self._longest_keep) if one.seated else None
                task = asyncio.create_task(self._move(one, seconds), name=f"drain {one.place.meeting}")
                self._running[one.key] = task

    async def _looked(self) -> None:
        try:
            await self.look()
        except KendraError as error:
            log.info("a look was cut short", reason=error.reason)
        except Exception:
            log.exception("a look broke")

    async def _next(self, progress: Progress, there: Sequence[Found]) -> list[Found]:
        """Return whose turn it is, of those that another server has room for."""
        now = self._clock()
        moving = sum(one.key in self._running for one in there if one.seated)
        can = {one.place: one for one in there if one.key not in self._running and self._pauses.over(one.key, now)}
        fit = [can[place] for place in await self._world.store.meetings.with_room(list(can))]
        empty, seated = [one for one in fit if not one.seated], [one for one in fit if one.seated]
        return [*empty, *seated[: max(0, turns(progress) - moving)]]

    async def _move(self, one: Found, seconds: float | None) -> None:
        place = one.place
        try:
            async with self._slots:
                now = await left(place, seconds, Call.begin(place.tenant, place.meeting, _BUDGET), self._world)
        except KendraError as error:
            self._pauses.failed(one.key, self._clock())
            log.info("not moved away", tenant=place.tenant, meeting=place.meeting, reason=error.reason)
        except Exception:
            self._pauses.failed(one.key, self._clock())
            log.exception("a move broke", tenant=place.tenant, meeting=place.meeting)
        else:
            self._pauses.forget(one.key)
            log.info("moved away", tenant=place.tenant, meeting=place.meeting, before=place.server, now=now.server)
        finally:
            del self._running[one.key]
