"""Messages that nobody waits for: posted without waiting, written in order by one task, unconfirmed, dropped when they cannot leave.

A broker that blocks its publishers therefore costs a bounded queue, never a handler's time.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

import structlog
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection

from services.bus.connection import Properties, lost_by_peer, open_channel, publish
from services.bus.metrics import DROPPED

log = structlog.stdlib.get_logger("bus")

_ROOM = 1_000


@dataclass(frozen=True, slots=True)
class _Letter:
    body: bytes
    properties: Properties
    key: str
    until: float


class Outbox:
    """A channel of its own to one exchange (`""` is the default one). `kind` names it in the metrics."""

    def __init__(self, kind: str) -> None:
        self._dropped = DROPPED.labels(kind)
        self._letters: asyncio.Queue[_Letter] = asyncio.Queue(_ROOM)
        self._writer: asyncio.Task[None] | None = None

    async def start(self, connection: AbstractRobustConnection, exchange: str = "") -> None:
        """Open the channel and begin to write. The exchange must exist."""
        channel = await open_channel(connection, confirms=False)
        self._writer = asyncio.create_task(self._write(channel, exchange), name=f"outbox to {exchange or 'queues'}")

    async def stop(self, within: float = 1.0) -> None:
        """Write what waits, for at most `within` seconds, then end."""
        if self._writer is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._letters.join()
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        self._writer = None

    def post(self, body: bytes, properties: Properties, key: str, *, within: float) -> bool:
        """Queue a message that is worthless after `within` seconds; False when there is no room."""
        try:
            self._letters.put_nowait(_Letter(body, properties, key, time.monotonic() + within))
        except asyncio.QueueFull:
            self._dropped.inc()
            return False
        return True

    async def _write(self, channel: AbstractRobustChannel, exchange: str) -> None:
        while True:
            letter = await self._letters.get()
            try:
                async with asyncio.timeout(letter.until - time.monotonic()):
                    await publish(channel, letter.body, letter.properties, letter.key, exchange=exchange)
            except Exception as error:
                # One letter is lost, whatever is wrong with it: the writer goes on with the others.
                self._dropped.inc()
                if not isinstance(error, TimeoutError) and not lost_by_peer(error):
                    log.exception("a message could not be written", key=letter.key)
            except asyncio.CancelledError as error:
                if not lost_by_peer(error):
                    raise
                self._dropped.inc()
            finally:
                self._letters.task_done()
