"""The packet planes of this process. One that dies is started again, on its own port if it can be; what lived on it is lost.

The others go on: only the meetings of the dead one move. Deaths that follow each other wait longer and longer, and too many in
a minute end the process, for then it is not the plane alone that is ill.
"""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Callable

import structlog

from contracts.ids import WorkerId
from services.media_server.metrics import DEATHS
from services.media_server.settings import Settings
from sfu.plane.native import NativePlane
from sfu.worker import Worker, WorkerSettings

MOST_DEATHS = 5
WITHIN = 60.0
FIRST_PAUSE = 0.2
DIES_ON = "DOORDARSHAN_WORKER_DIES_ON"
"""For tests: the name of the signal on which the fullest worker of this process dies."""

log = structlog.stdlib.get_logger("media server")


async def open_workers(settings: Settings) -> list[Worker]:
    """Return the workers, listening. Raises OSError when a port is taken."""
    return [await _opened(settings, number, settings.port_of(number)) for number in range(settings.number_of_workers)]


async def _opened(settings: Settings, number: int, port: int) -> Worker:
    return await Worker.create(
        WorkerSettings(
            id=WorkerId(f"worker-{number}"),
            listen_ip=settings.listen_ip,
            port=port,
            announced_address=settings.announced_address or None,
            plane=settings.plane,
            pin=settings.core_of(number),
        )
    )


class Deaths:
    """How often something died lately. Pure: `now` is an argument."""

    def __init__(self) -> None:
        self._at: deque[float] = deque(maxlen=MOST_DEATHS)

    def died(self, now: float) -> float | None:
        """Count a death; return the pause before the next start in seconds, None when there were too many."""
        self._at.append(now)
        lately = sum(now - at < WITHIN for at in self._at)
        if lately >= MOST_DEATHS:
            return None
        return 0.0 if lately == 1 else FIRST_PAUSE * 2.0 ** (lately - 2)


class Reviving:
    """Keeps `workers`, a list that others read, filled. `lost` hears of a dead worker at once, `give_up` when it is too often."""

    def __init__(
        self, settings: Settings, workers: list[Worker], *, lost: Callable[[Worker], None], give_up: Callable[[], None]
    ) -> None:
        self._settings, self._workers = settings, workers
        self._lost, self._give_up = lost, give_up
        self._deaths = Deaths()
        self._starting: set[asyncio.Task[None]] = set()
        for number, worker in enumerate(workers):
            self._watch(worker, number)

    def _watch(self, worker: Worker, number: int) -> None:
        worker.on_died = lambda error: self._died(worker, number, error)

    def _died(self, worker: Worker, number: int, error: BaseException) -> None:
        DEATHS.labels(worker.id).inc()
        log.error("a worker died", worker=worker.id, routers=len(worker.routers), error=repr(error))
        self._workers.remove(worker)
        self._lost(worker)
        task = asyncio.create_task(self._again(worker, number))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _again(self, dead: Worker, number: int) -> None:
        """Start another in the place of one that died; a port that is taken counts as a death of it."""
        await dead.close()
        while (pause := self._deaths.died(time.monotonic())) is not None:
            await asyncio.sleep(pause)
            if (worker := await self._listening(number, dead.port)) is not None:
                self._watch(worker, number)
                self._workers.append(worker)
                log.info("a worker runs again", worker=worker.id, port=worker.port)
                return
        log.error("workers die too often; this server ends", deaths=MOST_DEATHS, seconds=WITHIN)
        self._give_up()

    async def _listening(self, number: int, port: int) -> Worker | None:
        """Open a worker on that port; on any other only if the operator named none."""
        for at in (port,) if self._settings.media_port else (port, 0):
            try:
                return await _opened(self._settings, number, at)
            except OSError as error:
                refused = error
        log.warning("a worker cannot listen", port=port, error=refused.strerror)
        return None

    async def stop(self) -> None:
        """Start nothing any more."""
        for task in tuple(self._starting):
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)


def die_by_signal(workers: list[Worker]) -> None:
    """Let a signal kill the fullest worker, if a test named one: nothing that a peer sends can."""
    name = os.environ.get(DIES_ON)
    if not name:
        return

    def die() -> None:
        if not workers:
            return
        fullest = max(workers, key=lambda worker: len(worker.routers))
        if isinstance(fullest.plane, NativePlane):
            fullest.plane.panic()
        else:
            fullest.die(RuntimeError(f"{name} was received"))

    asyncio.get_running_loop().add_signal_handler(signal.Signals[name], die)
