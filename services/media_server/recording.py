"""Memory and rows agree: what a flow did in memory is undone if its transaction surely failed, and done if it landed.

When the outcome of a COMMIT is unknown the effect stays in doubt, memory as it is, until the command's id is settled. A line
settles its doubts, and writes what closed there without an order, before its next command.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog

from contracts.failure import Unavailable
from contracts.ids import CommandId
from contracts.message import Reply
from services.bus import Call
from services.fault_points import Point, reached
from services.media_server.lines import Key
from services.media_server.store import CommitUnknown, Record, Store

Change = Callable[[], object]

log = structlog.stdlib.get_logger("media server")


def nothing() -> None:
    """Change nothing in memory."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """An effect whose commit was not answered."""

    command: CommandId
    landed: Change
    failed: Change


class Recorder:
    """Opens the transactions of commands and keeps their doubts: one a line at most, for a line settles before it goes on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._doubts: dict[Key, Doubt] = {}

    @property
    def in_doubt(self) -> list[Key]:
        """The lines that have something to settle."""
        return list(self._doubts)

    @asynccontextmanager
    async def recording(
        self, call: Call, reply: Reply, *, landed: Change = nothing, failed: Change = nothing
    ) -> AsyncIterator[Record]:
        """Write a command, its reply and its rows in one transaction; then `landed` or `failed` is called, once.

        Raises what the store raises, and Unavailable when the outcome is unknown: a repeat settles it.
        """
        doubt = Doubt(call.command_id, landed, failed)
        async with self._decided(call, doubt), self._store.recording(call, reply) as record:
            yield record

    @asynccontextmanager
    async def allocating(
        self, call: Call, reply: Reply, *, landed: Change, failed: Change
    ) -> AsyncIterator[tuple[Record, int]]:
        """Like `recording`, for the transaction that makes the allocation; gives the meeting's producer limit too."""
        doubt = Doubt(call.command_id, landed, failed)
        async with self._decided(call, doubt), self._store.allocating(call, reply) as opened:
            yield opened

    @asynccontextmanager
    async def _decided(self, call: Call, doubt: Doubt) -> AsyncIterator[None]:
        key = (call.tenant, call.meeting)
        reached(Point.AFTER_EFFECT)
        try:
            yield
        except CommitUnknown as unknown:
            log.warning("commit in doubt", command_id=str(doubt.command), error=str(unknown.__cause__))
            self._doubts[key] = doubt
            if not await self._settled_at_last(key):
                raise Unavailable(
                    "the database went away while this was written, and it was not; repeat it"
                ) from unknown
        except BaseException:
            doubt.failed()
            raise
        else:
            reached(Point.BEFORE_LANDING)
            doubt.landed()
            reached(Point.AFTER_LANDING)

    async def _settled_at_last(self, key: Key) -> bool:
        """Try to settle a fresh doubt twice. True if it landed; raises Unavailable if it is not known: a repeat settles it."""
        with suppress(Unavailable):
            return await self.settle(key)
        return await self.settle(key)

    async def settle(self, key: Key) -> bool:
        """Decide a line's doubt, if it has one; say whether it landed. Raises Unavailable while the database cannot say."""
        doubt = self._doubts.get(key)
        if doubt is None:
            return False
        landed = await self._store.landed(doubt.command)
        del self._doubts[key]
        (doubt.landed if landed else doubt.failed)()
        return landed
