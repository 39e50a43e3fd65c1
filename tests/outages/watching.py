"""What a participant sees while something is broken: that pictures and sound go on, and how long they ever stood still."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.cli.participant.participant import Participant


@dataclass
class Seen:
    """What came of each kind while it was watched. `stood` is the longest time without a frame, seconds."""

    frames: dict[str, int] = field(default_factory=dict)
    stood: dict[str, float] = field(default_factory=dict)

    def flowed(self, *, still: float = 3.0) -> None:
        """Assert that sound and pictures came, and never stood still for long."""
        assert set(self.frames) == {"audio", "video"}
        assert min(self.frames.values()) > 0, self
        assert max(self.stood.values()) <= still, self


@asynccontextmanager
async def watched(participant: Participant) -> AsyncIterator[Seen]:
    """Watch what a participant receives."""
    seen = Seen()
    watching = asyncio.create_task(_watch(participant, seen))
    try:
        yield seen
    finally:
        watching.cancel()


async def _watch(participant: Participant, seen: Seen) -> None:
    before = {one.consumer_id: one.frames for one in participant.received.values()}
    last = dict.fromkeys(before, time.monotonic())
    while True:
        for one in participant.received.values():
            now = time.monotonic()
            grown = one.frames - before.get(one.consumer_id, 0)
            seen.frames.setdefault(one.kind, 0)
            seen.stood[one.kind] = max(seen.stood.get(one.kind, 0.0), now - last.get(one.consumer_id, now))
            if grown:
                seen.frames[one.kind] += grown
                before[one.consumer_id], last[one.consumer_id] = one.frames, now
        await asyncio.sleep(0.05)
