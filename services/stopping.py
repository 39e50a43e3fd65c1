"""Stopping in time whatever is away: what does not end soon is given up, and a cancel that went astray is repeated."""

import asyncio
from collections.abc import Awaitable, Collection

import structlog

_TIMES = 5

log = structlog.stdlib.get_logger("stopping")


async def within(seconds: float, work: Awaitable[object], what: str) -> None:
    """Do something at a stop; when it takes longer, or fails in whatever way, give it up: the stop goes on."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except Exception as error:
        log.warning("given up", what=what, error=str(error) or type(error).__name__)


async def cancelled(tasks: Collection[asyncio.Task[None]], each: float = 0.1) -> None:
    """Cancel, and again what took it for a database that is away: a cancel may end as a timeout within, and the task goes on.

    Waits `each` seconds between, five times at most. `tasks` may lose, and gain, some meanwhile.
    """
    for _ in range(_TIMES):
        for task in (left := tuple(tasks)):
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=each)
