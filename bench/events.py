"""How long an event takes: from the media server's commit (the log's `at`, by the database's clock, taken just before it) to the SSE byte."""

import asyncio

import asyncpg

from bench.client import Client
from bench.flows import Seat
from bench.measure import Measure, open_loop, percentile

PRODUCERS, PER_SECOND = 500, 50
SEATS = 10
"""Who sends: one transport carries 256 producers at most."""


MEETING = "events"


async def measure_events(client: Client, postgres: str) -> list[Measure]:
    """50 producers a second in one meeting, one reader. `postgres` is where the log says when each event was written."""
    seats = [Seat(client, MEETING, f"bench-{number}") for number in range(SEATS)]
    await client.create(MEETING, SEATS, PRODUCERS)
    for seat in seats:
        await seat.sit()
    sends = [await seat.transport("send") for seat in seats]
    arrived: dict[int, float] = {}
    ready = asyncio.Event()

    async def read() -> None:
        kind, at = b"", 0.0
        async for line, here in client.event_lines(MEETING, seats[0].token):
            ready.set()
            if line.startswith(b"event:"):
                kind, at = line[6:].strip(), here
            elif line.startswith(b"id:") and kind == b"ProducerCreated":
                arrived[int(line[3:])] = at
                if len(arrived) == PRODUCERS:
                    return

    reader = asyncio.create_task(read())
    async with asyncio.timeout(10):
        await ready.wait()
    await open_loop(PRODUCERS, PER_SECOND, lambda number: seats[number % SEATS].produce(sends[number % SEATS], number))
    async with asyncio.timeout(10):
        await reader
    written = await _written(postgres)
    late = [1000 * (at - written[sequence]) for sequence, at in arrived.items()]
    return [
        Measure("event: commit to SSE byte at 50 producers/s, p50", percentile(late, 0.5), "ms"),
        Measure("event: commit to SSE byte at 50 producers/s, p99", percentile(late, 0.99), "ms", 50),
    ]


async def _written(postgres: str) -> dict[int, float]:
    """Return when each event of the meeting was written, in epoch seconds, by its sequence."""
    connection = await asyncpg.connect(postgres)
    try:
        rows = await connection.fetch("select sequence, at from events where meeting = $1", MEETING)
    finally:
        await connection.close()
    return {row["sequence"]: row["at"].timestamp() for row in rows}
