"""What waits for one follower of events: a bounded queue that gives a follower up rather than grow, or lose something in the middle."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from services.gateway.following import Entry, LiveEntry

MOST_WAITING = 2_000
"""Entries that one follower may be behind the reader."""


@dataclass(eq=False, slots=True)
class Queue:
    """What waits for one follower. `dropped` when it was too slow, `closed` when this process ends it."""

    waiting: deque[Entry | LiveEntry] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: bool = False
    closed: bool = False

    def put(self, entry: Entry | LiveEntry) -> None:
        """Hand over an entry, or give the follower up."""
        if len(self.waiting) >= MOST_WAITING:
            self.dropped = True
        else:
            self.waiting.append(entry)
        self.wake.set()

    def taken(self) -> Iterator[Entry | LiveEntry]:
        """Yield what waits, and forget it."""
        while self.waiting and not self.ended:
            yield self.waiting.popleft()

    async def wait(self) -> None:
        """Wait until something waits or it ended. The caller has the deadline."""
        while not self.waiting and not self.ended:
            self.wake.clear()
            await self.wake.wait()

    def close(self) -> None:
        """End it."""
        self.closed = True
        self.wake.set()

    @property
    def ended(self) -> bool:
        """Whether nothing more will be handed over."""
        return self.dropped or self.closed
