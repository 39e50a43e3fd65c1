"""Whether a running system is as it says: one checker for every test that kills, cuts off or floods something.

`settled` waits until all of `judged.PARTS` hold at once; each part may be waited for alone (`agreed`).
"""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress

from aio_pika.exceptions import AMQPError
from asyncpg import InterfaceError, PostgresError
from redis.exceptions import RedisError

from services.testing.system import System
from tests.truth.asking import Answer, Tool, ask, tool
from tests.truth.judged import PARTS, Part, memory_equals_rows
from tests.truth.process_logs import complaints
from tests.truth.queues import leftovers
from tests.truth.seen import NOUNS, Seen, look

__all__ = [
    "AWAY",
    "PARTS",
    "Answer",
    "Part",
    "Seen",
    "Tool",
    "agreed",
    "ask",
    "complaints",
    "leftovers",
    "live_memory",
    "look",
    "rows_equal_memory",
    "settled",
    "tool",
]

Sets = dict[str, set[str]]

AWAY = (AMQPError, PostgresError, InterfaceError, RedisError, OSError, TimeoutError, RuntimeError)
"""What looking fails with while a service is away: then it is not settled yet."""
_PAUSE = 0.05


async def settled(
    system: System,
    *,
    within: float = 5.0,
    meetings: Collection[str] | None = None,
    allowed: Collection[str] | None = (),
) -> Seen:
    """Wait until everything holds, and return the look at it; the AssertionError names each difference that stayed.

    `meetings` (default: all) are those whose logs are read. `allowed`: texts of tracebacks that are no complaint; None: do not
    look at the processes' logs.
    """
    seen = await agreed(system, PARTS, within=within, meetings=meetings)
    wrote = [] if allowed is None else list(complaints(system, allowed))
    assert not wrote, "\n".join(wrote)
    return seen


async def agreed(
    system: System, parts: Sequence[Part], *, within: float = 5.0, meetings: Collection[str] | None = None
) -> Seen:
    """Wait until these parts hold at once."""
    differences = ["it was never looked at"]
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while True:
                try:
                    async with tool(system) as asker:
                        while True:
                            seen = await look(system, asker, meetings)
                            differences = [line for part in parts for line in part(seen)]
                            if not differences:
                                return seen
                            await asyncio.sleep(_PAUSE)
                except AWAY as error:
                    differences = [f"it cannot be looked at: {error!r}"]
                    await asyncio.sleep(_PAUSE)
    raise AssertionError("\n".join([f"not settled within {within} s:", *differences]))


async def rows_equal_memory(system: System, within: float = 5.0) -> None:
    """Wait until Postgres and the media servers' memory hold the same."""
    await agreed(system, [memory_equals_rows], within=within, meetings=())


async def live_memory(system: System) -> Sets:
    """Return the ids of all that the live media servers have in memory, by noun (`routers` besides NOUNS)."""
    async with tool(system) as asker:
        seen = await look(system, asker, ())
    return {noun: {thing.id for thing in seen.memory[noun]} for noun in ("routers", *NOUNS)}
