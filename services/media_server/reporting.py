"""The lease's renewal, at each heartbeat: that this boot can be asked, how loaded it is, and which allocations nobody wants any more.

Failing to renew is nobody's death here: media flows on, commands are answered `media_server_unavailable` until it works again.
A renewal that hits no row means that this boot was buried or replaced, and ends the process (`fenced`).
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from contracts.failure import KendraError
from services.media_server.lease import Lease
from services.media_server.store import Boots, Load, NotRegistered, Unwanted
from sfu.worker import Worker

log = structlog.stdlib.get_logger("media server")


class Meter:
    """Measures load between two readings.

    `cpu` is the larger of two shares: of the `cores` that this process can keep busy, and of the one that its loop can.
    """

    def __init__(self, workers: list[Worker], cores: int = 1) -> None:
        self._workers, self._cores = workers, cores
        self._at, self._busy, self._looped, self._sent = self._read()

    def _read(self) -> tuple[float, float, float, int]:
        sent = sum(worker.load().bytes_sent for worker in self._workers)
        return time.monotonic(), time.process_time(), time.thread_time(), sent

    def load(self) -> Load:
        """Return the load since the last reading."""
        at, busy, looped, sent = self._read()
        elapsed = max(at - self._at, 1e-3)
        cpu = max((busy - self._busy) / self._cores, looped - self._looped) / elapsed
        egress = max(sent - self._sent, 0) * 8 / elapsed
        self._at, self._busy, self._looped, self._sent = at, busy, looped, sent
        streams = {worker.id: worker.load().streams for worker in self._workers}
        return Load(cpu=min(cpu, 1.0), egress=egress, streams=streams)


class Reporting:
    """`boots` has a connection of its own, so that no flow can keep the lease waiting. `each` is the heartbeat, seconds.

    `consuming` says whether the broker has us as a consumer, `heard_at` as of when; `unwanted` hears of allocations that no meeting wants; `buried` ends the
    process; `back` is called when broker and database are both there, for the first time or again.
    """

    def __init__(
        self,
        boots: Boots,
        lease: Lease,
        meter: Meter,
        *,
        each: float,
        consuming: Callable[[], bool],
        heard_at: Callable[[], float | None] = lambda: None,
        unwanted: Callable[[Unwanted], None],
        buried: Callable[[], None],
        back: Callable[[], None],
    ) -> None:
        self._boots, self._lease, self._meter, self._each = boots, lease, meter, each
        self._consuming, self._unwanted, self._buried, self._back = consuming, unwanted, buried, back
        self._heard_at = heard_at
        self._well = False

    async def keep(self) -> None:
        """Renew for ever."""
        while True:
            began = time.monotonic()
            try:
                await self.renew()
            except NotRegistered:
                log.error("this boot has no lease any more: it was buried or replaced")
                self._lease.over()
                self._buried()
                return
            except KendraError as error:
                self._well = False
                log.warning("the lease was not renewed", reason=error.reason)
            except Exception:
                self._well = False
                log.exception("the lease was not renewed")
            await asyncio.sleep(max(began + self._each - time.monotonic(), 0.05))

    async def renew(self) -> None:
        """Renew once, or without a broker only look what became of this boot. Raises NotRegistered, Unavailable."""
        now, consuming = time.monotonic(), self._consuming()
        if self._lease.heard(now, consuming, self._heard_at()):
            await self._boots.renew(self._meter.load())
            self._lease.renewed(now)
        else:
            await self._boots.must_stand()
            log.warning("the broker has no consumer of this server, so its lease is not renewed")
        for one in await self._boots.unwanted():
            self._unwanted(one)
        if consuming and not self._well:
            self._back()
        self._well = consuming
