"""Stopping in time whatever is away: what does not end soon is given up, and a cancel that went astray is repeated."""

import asyncio
from collections.abc import Awaitable, Collection, Coroutine
from typing import TypeVar

import structlog
import uvloop

T = TypeVar("T")

_TIMES = 5
_A_MOMENT = 0.1
"""For what is cancelled to end in order, seconds."""

log = structlog.stdlib.get_logger("stopping")


async def within(seconds: float, work: Awaitable[object], what: str) -> None:
    """Do something at a stop; when it takes longer, or fails in whatever way, give it up: the stop goes on.

    It is a task of its own: neither one that takes its cancel for something else nor one that somebody cancels stops the stop.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(_looked_at)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        in_time = task.done()
        task.cancel()
    await asyncio.wait({task}, timeout=_A_MOMENT)
    error = TimeoutError() if not in_time else asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is not None:
        log.warning("given up", what=what, error=str(error) or type(error).__name__)


async def cancelled(tasks: Collection[asyncio.Task[T]], each: float = _A_MOMENT) -> None:
    """Cancel, and again what took it for a database that is away: a cancel may end as a timeout within, and the task goes on.

    Waits `each` seconds between, five times at most. `tasks` may lose, and gain, some meanwhile.
    """
    for _ in range(_TIMES):
        for task in (left := tuple(tasks)):
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=each)


def run_to_the_end(main: Coroutine[object, object, T]) -> T:
    """Run a process's main on uvloop. Whatever is left when it is over is cancelled until it ends; after half a second the process ends without it.

    asyncio itself cancels what is left once and then waits for it, for ever if that took the cancel for something else.
    """
    left: list[asyncio.Task[object]] = []

    async def and_the_rest() -> T:
        try:
            return await main
        finally:
            left.extend(await _the_rest())

    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    try:
        return runner.run(and_the_rest())
    finally:
        if not left:
            runner.close()


def _looked_at(task: asyncio.Future[object]) -> None:
    """Take the exception of what was given up."""
    if not task.cancelled():
        task.exception()


async def _the_rest() -> list[asyncio.Task[object]]:
    """End all other tasks, those too that others begin as they end; return what goes on all the same."""
    for _ in range(_TIMES):
        if not (rest := _others()):
            return []
        for task in rest:
            task.cancel()
        await asyncio.wait(rest, timeout=_A_MOMENT)
    if left := list(_others()):
        log.error("does not end", what=[one.get_name() for one in left])
    return left


def _others() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
