"""One ask over the bus and back: asker and server in processes of their own, the broker between them."""

import asyncio
import sys
from os import getpid

from bench.bus_server import QUEUE, Echo
from bench.measure import Measure, cpu_seconds, one_by_one, percentile, side_by_side
from contracts.ids import MeetingId, TenantId
from services.bus import Bus, Call

TEXT = "x" * 600


async def measure_bus(url: str) -> list[Measure]:
    """Ask alone, then as fast as 32 callers can."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.bus_server", url, stdout=asyncio.subprocess.PIPE
    )
    bus = Bus(url, "gateway", "bench")
    try:
        assert server.stdout is not None
        if not await asyncio.wait_for(server.stdout.readline(), 20):
            raise RuntimeError("the answering side did not start")
        await bus.start()

        async def ask(_: int) -> object:
            call = Call.begin(TenantId("bench"), MeetingId("bench"), 5.0)
            return await bus.ask(QUEUE.name, Echo(text=TEXT), call)

        await one_by_one(200, ask)
        alone = await one_by_one(1000, ask)
        before = [cpu_seconds([pid], children=False) for pid in (getpid(), server.pid)]
        _, rate = await side_by_side(6000, 32, ask)
        asker, answerer = (
            1000 * (cpu_seconds([pid], children=False) - was) / 6000
            for pid, was in zip((getpid(), server.pid), before, strict=True)
        )
    finally:
        await bus.stop()
        if server.returncode is None:
            server.kill()
        await server.wait()
    return [
        Measure("bus: ask and reply alone, p50", percentile(alone, 0.5), "ms"),
        Measure("bus: ask and reply alone, p99", percentile(alone, 0.99), "ms"),
        Measure("bus: ask and reply, 32 callers", rate, "1/s"),
        Measure("bus: CPU of the asker per call (32 callers)", asker, "cpu ms"),
        Measure("bus: CPU of the server per call (32 callers)", answerer, "cpu ms"),
    ]
