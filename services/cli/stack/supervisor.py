"""Keeping things running: what dies is started again, the later the more often it died.

A thing is anything that can be started (and is ready when that returns) and whose child process can be waited for:
a private service or a process of the system.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.cli.stack.errors import CannotRun
from services.cli.stack.process import Child

_FIRST_DELAY = 0.2
_LONGEST_DELAY = 10.0
_LIVED_LONG = 30.0

OnChange = Callable[[str, str], None]
"""Told (name, what happened) in a few words."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing to keep running: `start` starts `child` again and returns when it is ready."""

    child: Child
    start: Callable[[], Awaitable[None]]


def delay_after(deaths: int) -> float:
    """Return the seconds to wait before a start, after so many deaths in a row."""
    return min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** (deaths - 1))


class Supervisor:
    """Watches what is running already and starts again what dies, until it is cancelled."""

    def __init__(self, kept: list[Kept], on_change: OnChange) -> None:
        self._kept = kept
        self._on_change = on_change

    async def run(self) -> None:
        """Watch everything; returns only by cancellation."""
        async with asyncio.TaskGroup() as group:
            for kept in self._kept:
                group.create_task(self._keep(kept))

    async def _keep(self, kept: Kept) -> None:
        clock = asyncio.get_running_loop().time
        deaths = 0
        while True:
            begun = clock()
            status = await kept.child.wait()
            deaths = 1 if clock() - begun > _LIVED_LONG else deaths + 1
            ended = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            wait = delay_after(deaths)
            self._on_change(kept.child.name, f"{ended}; starting it again in {wait:.1f} s")
            await asyncio.sleep(wait)
            await self._again(kept)

    async def _again(self, kept: Kept) -> None:
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            await kept.start()
        except CannotRun as reason:
            self._on_change(kept.child.name, str(reason))
            with contextlib.suppress(AssertionError):
                await kept.child.kill()
        else:
            self._on_change(kept.child.name, f"is ready again after {clock() - begun:.1f} s")
