"""A plane that died gives its descriptors back at once: who waits for a collector of garbage to do it may run out of them."""

import asyncio
import gc
import os
from collections.abc import Iterator

import pytest

from contracts.ids import RouterId, TransportId
from services.media_server.settings import Settings
from services.media_server.workers import Reviving, open_workers
from sfu.plane import native
from sfu.plane.native import NativePlane
from sfu.worker import Worker

pytestmark = pytest.mark.skipif(bool(native.missing()), reason=f"only a native plane can panic: {native.missing()}")
DEATHS = 3


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Have nothing collected that leads back to itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def test_workers_that_die_and_come_back_leave_no_descriptor_open(uncollected: None) -> None:
    settings = Settings(name="here", amqp_url="amqp://x", postgres_url="postgresql://x", plane="native", workers=1)
    workers = await open_workers(settings)
    reviving = Reviving(settings, workers, lost=_close_routers, give_up=lambda: None)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(DEATHS):
        await _killed(workers)
    assert len(os.listdir("/proc/self/fd")) == before
    await reviving.stop()
    await workers[0].close()


async def _killed(workers: list[Worker]) -> None:
    """Let the only worker die of a panic with something on it; return when another runs."""
    dead = workers[0]
    dead.create_router(RouterId("r")).create_webrtc_transport(TransportId("t"))
    assert isinstance(dead.plane, NativePlane)
    dead.plane.panic()
    async with asyncio.timeout(5.0):
        while not workers or workers[0] is dead:
            await asyncio.sleep(0.01)


def _close_routers(worker: Worker) -> None:
    for router in list(worker.routers.values()):
        router.close()
