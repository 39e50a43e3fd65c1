"""A media server's process and the load on it: meetings are made through `sfu`, peers are the load generator's."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, cast

from bench import peers
from bench.bare_loop import LOAD_CORE, SERVER_CORE
from bench.client import JsonObject
from bench.generator import Generator
from bench.tools import Tools, prefer

AT_ONCE = 8
"""Joins that are under way together while a meeting is built."""
SCHEDULED = 2
"""The clock of a process that counts what its threads ran (clock_getcpuclockid(3))."""


@dataclass(frozen=True)
class Phase:
    """What one measuring interval gave: CPU seconds of the media server, and what the load counted."""

    seconds: float
    cpu: float
    counted: dict[str, Any]

    @property
    def packets(self) -> int:
        """Packets that were received, retransmissions included."""
        return int(self.counted["packets"])

    @property
    def micros(self) -> float:
        """µs of the media server's CPU for each packet it forwarded."""
        return 1e6 * self.cpu / max(1, self.packets)

    @property
    def bytes_a_packet(self) -> int:
        """The mean size of a forwarded datagram."""
        return round(float(self.counted["bytes"]) / max(1, self.packets))

    @property
    def lost(self) -> float:
        """The share that never came, not even again; what is still being asked for is not lost yet."""
        expected, pending = float(self.counted["expected"]), float(self.counted["pending"])
        return max(0.0, 1 - (float(self.counted["unique"]) + pending) / max(1.0, expected))

    def latency(self, which: str) -> float:
        """Return p50, p99 or max in ms."""
        return float(self.counted["latency"][which]) / 1000


@dataclass(frozen=True)
class Published:
    """A stream that can be consumed."""

    producer: str
    router: str
    kind: str


class Session:
    """One media server and one load; use `session`."""

    def __init__(self, server: asyncio.subprocess.Process, load: Generator) -> None:
        self.load = load
        self._server = server
        self._numbers, self._names = count(), count()
        self._waiting: dict[int, asyncio.Future[JsonObject]] = {}
        self._listening = asyncio.create_task(self._listen())
        self.gate = asyncio.Semaphore(AT_ONCE)

    async def ask(self, do: str, **order: object) -> JsonObject:
        """Give the media server an order; return its answer. Raises RuntimeError if it is refused."""
        number = next(self._numbers)
        future: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps({**order, "id": number, "do": do}).encode() + b"\n")
        async with asyncio.timeout(30):
            answer = await future
        if "error" in answer:
            raise RuntimeError(f"{do}: {answer['error']}")
        return answer

    async def _listen(self) -> None:
        assert self._server.stdout is not None
        while line := await self._server.stdout.readline():
            answer = json.loads(line)
            future = self._waiting.pop(answer["id"])
            if not future.done():
                future.set_result(answer)

    async def connect(self, router: str, worker: int = 0) -> str:
        """Make a transport and connect the load to it; return its name."""
        opened = await self.open(router, worker)
        await self.ask("connect", transport=opened["transport"], fingerprint=self.load.fingerprint)
        await self.dial(opened)
        return str(opened["transport"])

    async def open(self, router: str, worker: int = 0) -> JsonObject:
        """Make a transport; return what a peer needs to know."""
        name = f"t{next(self._names)}"
        return {**await self.ask("open", router=router, worker=worker, transport=name), "transport": name}

    async def dial(self, opened: JsonObject) -> None:
        """Let the load connect to a transport; wait until it is."""
        given = {key: opened[key] for key in ("to", "fragment", "password", "fingerprint")}
        await peers.dial(self.load, str(opened["transport"]), given)

    async def publish(self, transport: str, router: str, kind: str) -> Published:
        """Publish a stream on a connected transport; it flows once its rate is set."""
        number = next(self._names)
        producer, ssrc = f"p{number}", 0x1000_0000 + 2 * number
        parameters = peers.published(kind, ssrc, str(number))
        await self.ask("produce", transport=transport, producer=producer, kind=kind, parameters=parameters)
        self.load.order(peers.publish_order(transport, producer, kind, ssrc))
        return Published(producer, router, kind)

    async def consume(self, transport: str, published: Published) -> None:
        """Consume a stream on a transport that the load knows."""
        self.load.order((await self.consumed(transport, published)).order)

    async def consumed(self, transport: str, published: Published, *, announce: bool = False) -> peers.Consumed:
        """Consume a stream; the load is not told of it yet. `announce`: it shall tell of the first packet."""
        name = f"c{next(self._names)}"
        answer = await self.ask("consume", transport=transport, consumer=name, producer=published.producer)
        return peers.consumed(transport, published.kind, answer, announce=announce)

    async def broadcast(self, receivers: int, kind: str, router: str = "broadcast", worker: int = 0) -> Published:
        """Build one publisher and so many receivers of it."""
        published = await self.publish(await self.connect(router, worker), router, kind)

        async def join() -> None:
            async with self.gate:
                await self.consume(await self.connect(router, worker), published)

        await asyncio.gather(*(join() for _ in range(receivers)))
        return published

    async def meeting(self, size: int, router: str) -> list[Published]:
        """Build a meeting in which each publishes audio and video and consumes all others'; return its streams."""

        async def sit() -> tuple[str, list[Published]]:
            async with self.gate:
                send, receive = await self.connect(router), await self.connect(router)
                return receive, [await self.publish(send, router, kind) for kind in ("audio", "video")]

        seats = await asyncio.gather(*(sit() for _ in range(size)))
        for receive, own in seats:
            for _, published in seats:
                if published is not own:
                    for each in published:
                        await self.consume(receive, each)
        return [each for _, published in seats for each in published]

    async def phase(self, seconds: float) -> Phase:
        """Measure for so long."""
        await self.load.settled()
        self.load.order("reset")
        before = self.cpu()
        await asyncio.sleep(seconds)
        used = self.cpu() - before
        counted = await self.load.report()
        return Phase(counted["seconds"], used, counted)

    def cpu(self) -> float:
        """Return the seconds of CPU that the media server has used, ended threads too; it need not be able to answer."""
        return time.clock_gettime(~self._server.pid << 3 | SCHEDULED)

    def undisturbed(self, wanted: bool) -> bool:
        """Let both processes run before any other (SCHED_FIFO), or as others do; False where we may not."""
        policy, priority = (os.SCHED_FIFO, 2) if wanted else (os.SCHED_OTHER, 0)
        try:
            for pid in (self._server.pid, self.load.pid):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    os.sched_setscheduler(int(task.name), policy, os.sched_param(priority))
        except OSError:
            return False
        return True

    def rate(self, published: Sequence[Published], fps: float) -> None:
        """Let streams flow at so many frames a second; 0 stops them."""
        for each in published:
            self.load.order(f"rate {each.producer} fps={fps}")

    async def failures(self) -> int:
        """Return how often the planes failed on a packet or a timer: none is allowed."""
        return cast(int, (await self.ask("failures"))["failures"])

    async def close(self) -> None:
        """End both processes."""
        await self.load.close()
        assert self._server.stdin is not None
        self._server.stdin.close()
        await self._server.wait()
        await self._listening


@asynccontextmanager
async def session(
    tools: Tools, plane: str, *, workers: int = 1, merge: bool = False, stamp: bool = False
) -> AsyncIterator[Session]:
    """Start a media server and a load, each on its own core."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.plane_server", plane, str(workers),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20,
        start_new_session=True,
    )  # fmt: skip
    prefer(server.pid)
    os.sched_setaffinity(server.pid, {SERVER_CORE})
    load = await Generator.start(tools.load, LOAD_CORE)
    load.order(f"set merge={int(merge)} stamp={int(stamp)}")
    made = Session(server, load)
    try:
        await made.failures()  # it is up
        yield made
        failures = await made.failures()
        if failures:
            raise RuntimeError(f"the plane failed {failures} times on a packet or a timer")
    finally:
        await made.close()
