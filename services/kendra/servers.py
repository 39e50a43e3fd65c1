"""The watch of leases: this kendra reads the media servers' rows each second, and knows whether it did so without a break.

A lease is over when the row says so *and* this process has read the rows that often for as long as a lease without a failed or slow
read: Postgres being away is nobody's death. Neither is the broker: a server stops renewing when it is away, so this process must have
had it as long. A boot that has no row, or was followed by a newer one, is gone at once.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from contracts.failure import KendraError
from services.kendra.metrics import SURE_OF_LEASES
from services.kendra.place import Lease, Place
from services.kendra.store.servers import ServerRows

log = structlog.stdlib.get_logger("servers")

_EVERY = 1.0
_READS_PER_LEASE = 5
"""A lease shorter than the default is watched that much more often."""
_SLOW = 1.0
_LONGEST_GAP = 2 * _EVERY + _SLOW
SETTLED = 60.0
"""After the rows could be read for so long, seconds, every server that runs has renewed its lease, whatever was away before."""


class Watch:
    """How long the reads have gone on without a break, by a monotonic clock. Pure."""

    def __init__(self, needed: float) -> None:
        self._needed = needed
        self._since: float | None = None
        self._last = 0.0

    def read(self, began: float, ended: float, *, failed: bool = False) -> None:
        """Take note of one read."""
        if failed or ended - began > _SLOW:
            self._since = None
        elif self._since is None or began - self._last > _LONGEST_GAP:
            self._since = began
        self._last = ended

    def sure(self, now: float) -> bool:
        """Say whether rows that look over are over."""
        return self._since is not None and now - self._since >= self._needed and now - self._last <= _LONGEST_GAP


class Servers:
    """Who is dead. `lease` is how long a renewal is good for, seconds."""

    def __init__(
        self,
        rows: ServerRows,
        lease: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        settled: float = SETTLED,
        hears: Callable[[], bool] = lambda: True,
    ) -> None:
        self._rows = rows
        self._clock = clock
        self.hears = hears
        """Whether the broker has this kendra as a consumer."""
        self._every = min(_EVERY, lease / _READS_PER_LEASE)
        self._watch = Watch(lease)
        self._long_watch = Watch(settled)
        self.read_at: float | None = None
        """When the rows were last read, by the monotonic clock."""

    def dead(self, place: Place) -> bool:
        """Say whether nobody can carry the meeting at its place any more: unplaced, its boot gone, or its lease surely over."""
        if place.server is None or place.lease is Lease.GONE:
            return True
        return place.lease is Lease.OVER and self._watch.sure(self._clock())

    def settled(self) -> bool:
        """Say whether what the rows say can be believed of servers that nobody asks for: the reads went on for long."""
        return self._long_watch.sure(self._clock())

    async def watch(self) -> None:
        """Read the rows for ever."""
        while True:
            began = self._clock()
            failed = await self._look()
            ended = self._clock()
            for watch in (self._watch, self._long_watch):
                watch.read(began, ended, failed=failed or not self.hears())
            SURE_OF_LEASES.set(self._watch.sure(ended))
            await asyncio.sleep(max(0.0, self._every - (ended - began)))

    async def _look(self) -> bool:
        """Read, and give servers that are new their bookings row; return whether it failed."""
        try:
            async with asyncio.timeout(2 * _SLOW):
                await self._rows.sync()
        except (KendraError, TimeoutError) as error:
            log.warning("the media servers' rows cannot be read", error=str(error) or "too slow")
            return True
        except Exception:
            # Whatever it is (a database that was not migrated yet), the watch goes on: without it no server is ever dead.
            log.exception("the watch of leases broke")
            return True
        self.read_at = self._clock()
        return False
