"""What memory and rows of a meeting still owe each other: a commit in doubt, closings that are not written yet.

They are paid in the meeting's line: before its next command, at once when something closed by itself, and again and again
while the database is away.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from contracts.failure import KendraError
from services.media_server.closing import Closings
from services.media_server.lines import Key, Lines
from services.media_server.recording import Recorder
from services.media_server.registry import Registry
from services.media_server.store import Allocated, Store

EACH = 0.2

log = structlog.stdlib.get_logger("media server")


class Debts:
    """`told` is called once a meeting's log has events that no command asked for."""

    def __init__(
        self,
        registry: Registry,
        store: Store,
        lines: Lines,
        *,
        told: Callable[[Allocated], None],
    ) -> None:
        self._lines = lines
        self.recorder = Recorder(store)
        self.closings = Closings(registry, store, write_soon=self.pay_soon, told=told)

    async def pay(self, key: Key) -> None:
        """Bring memory and rows of one meeting together; its line's turn must be ours. Raises Unavailable."""
        await self.recorder.settle(key)
        await self.closings.write(key)

    def pay_soon(self, key: Key) -> None:
        """Do it when the line comes to it."""
        self._lines.put(key, partial(self.pay, key), always=True).add_done_callback(look_at)

    async def keep_paying(self) -> None:
        """Go on for ever."""
        while True:
            await asyncio.sleep(EACH)
            for key in {*self.recorder.in_doubt, *self.closings.unwritten}:
                if self._lines.idle(key):
                    self.pay_soon(key)


def look_at(done: asyncio.Future[None]) -> None:
    """Log what no command's asker hears of. A database that is away is heard of elsewhere, and this is done again."""
    if not done.cancelled() and (error := done.exception()) is not None and not isinstance(error, KendraError):
        log.error("work of the server's own failed", exc_info=error)
