"""The queue `dead`: what expired before anybody handled it is counted and dropped, everything else is kept for a while, logged and counted.

It is read in passes. What is kept goes back to its place, marked by the broker as redelivered, so that each message is logged once.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue, AbstractRobustConnection

from services.bus.connection import LOST, connect, hanging_up, open_channel
from services.bus.metrics import DEAD_KEPT, DEAD_LETTERS
from services.bus.queues import DEAD, declare_shared

log = structlog.stdlib.get_logger("bus")

_EXPIRED = "expired"
_MOST = 10_000
"""All that the queue can hold: what is kept stands before what came later, which must be seen all the same."""
_PASS = 30.0
WEEK = 7 * 86_400.0
_PATIENCE = 1.0
_REST = 0.02
"""Seconds without a pass for each message that the last one kept, or passes over a full queue would be all that a process does."""


class DeadLetters:
    """Looks through `dead` every `period` seconds, and drops what is there for `kept` seconds.

    Several processes may: each message is in the hands of one.
    """

    def __init__(self, url: str, service: str, process: str, *, kept: float = WEEK, period: float = 10.0) -> None:
        self._url, self._name = url, f"{service}.{process} dead letters"
        self._kept, self._period = timedelta(seconds=kept), period
        self._connection: AbstractRobustConnection | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect and begin. Raises what aio-pika raises when the broker cannot be reached."""
        with hanging_up():
            await self._begin()

    async def _begin(self) -> None:
        self._connection = await connect(self._url, self._name)
        try:
            topology = await open_channel(self._connection, confirms=False)
            await declare_shared(topology)
            await topology.close()
        except BaseException:
            await self.stop()
            raise
        self._task = asyncio.create_task(self._forever(), name="dead letters")

    async def stop(self) -> None:
        """End; what was in hand goes back to the queue."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    async def _forever(self) -> None:
        while True:
            kept = 0
            with suppress(TimeoutError, *LOST):
                async with asyncio.timeout(_PASS):
                    kept = await self.look()
            await asyncio.sleep(max(self._period, kept * _REST))

    async def look(self) -> int:
        """Go through the queue once and return how many messages are kept."""
        assert self._connection is not None
        await self._connection.ready()
        channel = await open_channel(self._connection, confirms=False)
        try:
            kept = await _sort(await channel.get_queue(DEAD, ensure=False), datetime.now(UTC) - self._kept)
            for message in kept:
                await message.nack(requeue=True)
        finally:
            # An error here would take the place of a cancel, and the passes go on.
            with suppress(TimeoutError, *LOST):
                async with asyncio.timeout(_PATIENCE):
                    await channel.close()
        DEAD_KEPT.set(len(kept))
        return len(kept)


async def _sort(queue: AbstractQueue, oldest: datetime) -> list[AbstractIncomingMessage]:
    kept: list[AbstractIncomingMessage] = []
    for _ in range(_MOST):
        message = await queue.get(fail=False)
        if message is None:
            break
        reason = str(message.headers.get("x-first-death-reason", "unknown"))
        if not message.redelivered:
            DEAD_LETTERS.labels(reason if reason in _REASONS else "unknown").inc()
        if reason == _EXPIRED:
            await message.ack()
            continue
        if not message.redelivered:
            log.error("dead letter", reason=reason, **_what(message))
        if _died_at(message) < oldest:
            log.warning("a dead letter is dropped: it was kept for long", reason=reason, **_what(message))
            await message.ack()
            continue
        kept.append(message)
    return kept


def _died_at(message: AbstractIncomingMessage) -> datetime:
    """Return when the broker put the message here, by its clock; what somebody else put here has no time, and stays."""
    match message.headers.get("x-death"):
        case [{"time": datetime() as at}, *_]:
            return at if at.tzinfo else at.replace(tzinfo=UTC)
        case _:
            return datetime.max.replace(tzinfo=UTC)


_REASONS = {_EXPIRED, "rejected", "maxlen", "delivery_limit"}


def _what(message: AbstractIncomingMessage) -> dict[str, str]:
    """Return what tells one dead letter from another; never the body, it may hold secrets."""
    known = {
        "queue": message.headers.get("x-first-death-queue"),
        "type": message.type,
        "message_id": message.message_id,
        "reply_to": message.reply_to,
        "tenant": message.headers.get("tenant"),
        "meeting": message.headers.get("meeting"),
    }
    return {name: str(value)[:100] for name, value in known.items() if value is not None}
