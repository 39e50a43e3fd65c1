"""Routers that are gone while their allocations stand: kendra is told each second, until no meeting wants them any more.

The allocation stays in the rows until the meeting has moved; then it goes as any that is not wanted. Meanwhile commands about it
are `media_server_unavailable`, and there is never a second router of the same epoch.
"""

import asyncio
from collections.abc import Callable

from contracts.live import LostRouter, RoutersLost
from services.media_server.registry import Registry

EACH = 1.0
AT_ONCE = 200


class Losses:
    """`tell` sends a notice; it may be lost."""

    def __init__(self, registry: Registry, tell: Callable[[RoutersLost, LostRouter], None]) -> None:
        self._registry = registry
        self._tell = tell
        self._news = asyncio.Event()

    def tell_soon(self) -> None:
        """Do not wait for the second to be over."""
        self._news.set()

    async def keep_telling(self) -> None:
        """Tell for ever."""
        while True:
            self._news.clear()
            lost = list(self._registry.lost.values())
            for first in range(0, len(lost), AT_ONCE):
                self._tell(RoutersLost(routers=lost[first : first + AT_ONCE]), lost[first])
            try:
                async with asyncio.timeout(EACH if self._registry.lost else None):
                    await self._news.wait()
            except TimeoutError:
                continue
