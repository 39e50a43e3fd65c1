"""Ctrl-C and SIGTERM as something that a command can wait for, or as the end of its work in order."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def on_signal(told: Callable[[], None]) -> Iterator[None]:
    """Have each of the signals call `told` instead of ending the process."""
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, told)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def cancelled_by_signal(work: Coroutine[Any, Any, int]) -> int:
    """Do the work; the first signal cancels it, so that it cleans up behind itself, more are ignored. Return its exit status."""
    task = asyncio.ensure_future(work)

    def stop() -> None:
        if not task.cancelling():
            task.cancel()

    with on_signal(stop):
        try:
            return await task
        except asyncio.CancelledError:
            return 128 + signal.SIGINT
