"""How long an event takes: from the media server's commit (its `at`, by the database's clock, taken just before it) to the SSE byte."""

import asyncio
import json
from datetime import datetime
from typing import cast

from bench.client import Client
from bench.flows import Seat
from bench.measure import Measure, open_loop, percentile

PRODUCERS, PER_SECOND = 500, 50


async def measure_events(client: Client) -> list[Measure]:
    """50 producers a second in one meeting, one reader."""
    seat = Seat(client, "events")
    await seat.sit(producers=PRODUCERS + 10)
    send = await seat.transport("send")
    late: list[float] = []
    ready = asyncio.Event()

    async def read() -> None:
        kind = b""
        async for line, at in client.event_lines("events", seat.token):
            ready.set()
            if line.startswith(b"event:"):
                kind = line[6:].strip()
            elif line.startswith(b"data:") and kind == b"ProducerCreated":
                sent = datetime.fromisoformat(str(cast(dict[str, object], json.loads(line[5:]))["at"])).timestamp()
                late.append(1000 * (at - sent))
                if len(late) == PRODUCERS:
                    return

    reader = asyncio.create_task(read())
    await seat.produce(send, PRODUCERS)
    async with asyncio.timeout(10):
        await ready.wait()
    await open_loop(PRODUCERS, PER_SECOND, lambda number: seat.produce(send, number))
    async with asyncio.timeout(10):
        await reader
    return [
        Measure("event: commit to SSE byte at 50 producers/s, p50", percentile(late, 0.5), "ms"),
        Measure("event: commit to SSE byte at 50 producers/s, p99", percentile(late, 0.99), "ms", 50),
    ]
