"""The FastStream side of serving: one subscriber on one queue, with a bounded prefetch and acknowledgement by hand.

FastStream's own replies are off: it would publish them on the channel everything else uses. Its `request()` is never used: it holds
one lock for the whole round trip.

Whether the broker has us as a consumer is asked of it each second: a connection over which nothing comes any more looks whole for long.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

import structlog
from aio_pika import RobustChannel, RobustConnection, RobustQueue
from aio_pika.abc import AbstractIncomingMessage
from aiormq import Channel as Underlay
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker
from faststream.rabbit.message import RabbitMessage

from services.bus.connection import LOST, RECONNECT, TRY, Connection, lost_by_peer, named, open_channel
from services.bus.queues import QueueSpec

log = structlog.stdlib.get_logger("bus")

Arrival = Callable[[AbstractIncomingMessage], Awaitable[None]]

ASKED_EACH = 1.0
GOOD_FOR = 3.0
"""How long the broker's word is good, seconds: a busy one may take a while to give the next."""


class _Broker(RabbitBroker):
    """FastStream's, with a connection of our class."""

    async def _connect(self) -> RobustConnection:
        self._connection_kwargs["connection_class"] = Connection
        return await super()._connect()


class Consumer:
    """Hands each message of a queue to `arrive`, at most `prefetch` at a time, and comes back by itself after a lost connection."""

    def __init__(self, url: str, name: str, queue: QueueSpec, *, arrive: Arrival, prefetch: int) -> None:
        self._queue = queue.subscribed()
        self._underlay: Underlay | None = None
        self._asking: asyncio.Task[None] | None = None
        self.heard_at: float | None = None
        """When the broker was asked, by the monotonic clock, that said last that there is a consumer of the queue."""
        self._broker = _Broker(
            named(url, name),
            reconnect_interval=RECONNECT,
            timeout=TRY,
            apply_types=False,
            logger=None,
            graceful_timeout=1.0,
        )
        subscriber = self._broker.subscriber(
            self._queue,
            channel=Channel(prefetch_count=prefetch),
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            decoder=_whole,
        )

        async def consume(message: RabbitMessage) -> None:
            await arrive(message.raw_message)

        subscriber(consume)

    @property
    def consuming(self) -> bool:
        """Whether the broker has a consumer of ours on the queue right now."""
        heard = self.heard_at is not None and time.monotonic() - self.heard_at < GOOD_FOR
        return heard and self._subscribes

    async def start(self) -> None:
        """Connect, declare the queue and begin to consume."""
        await self._broker.start()
        queue = await self._subscribed()
        cast(RobustChannel, queue.channel).reopen_callbacks.add(self._look)
        await self._look()
        self.heard_at = time.monotonic()
        self._asking = asyncio.create_task(self._keep_asking(), name="is there a consumer")

    @property
    def _subscribes(self) -> bool:
        return self._underlay is not None and not self._underlay.is_closed and bool(self._underlay.consumers)

    async def cancel(self) -> None:
        """Ask the broker for no more messages. Those already on their way still arrive."""
        if not self._subscribes or self._underlay is None:
            return
        queue = await self._subscribed()
        for tag in tuple(self._underlay.consumers):
            await queue.cancel(tag)

    async def take(self) -> AbstractIncomingMessage | None:
        """Return one message that waits in the queue, or None."""
        queue = await self._subscribed()
        return await queue.get(fail=False)

    async def stop(self) -> None:
        """Disconnect. What was not acknowledged goes back to the queue."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        try:
            await self._broker.stop()
        except* LOST as gone:
            log.debug("the broker is away", errors=len(gone.exceptions))

    async def _keep_asking(self) -> None:
        """Ask for ever; over a connection that is lost no answer comes, over the next one it is asked again."""
        while True:
            try:
                await self._ask_over_one_channel()
            except BaseException as error:
                if not lost_by_peer(error):
                    raise
            await asyncio.sleep(ASKED_EACH)

    async def _ask_over_one_channel(self) -> None:
        connection = await self._broker.connect()
        await connection.ready()
        channel = await open_channel(connection, confirms=False)
        try:
            while True:
                await self._ask(cast(Underlay, await channel.get_underlay_channel()))
                await asyncio.sleep(ASKED_EACH)
        finally:
            with suppress(TimeoutError, *LOST):
                async with asyncio.timeout(1.0):
                    await channel.close()

    async def _ask(self, channel: Underlay) -> None:
        """Ask the broker whether the queue has a consumer; this waits while the broker says nothing."""
        began = time.monotonic()
        said = await channel.queue_declare(self._queue.name, passive=True)
        if said.consumer_count:
            self.heard_at = began

    async def _subscribed(self) -> RobustQueue:
        """Return the queue on the subscriber's own channel: FastStream declares each queue once and remembers where."""
        return await self._broker.declare_queue(self._queue)

    async def _look(self, *_: object) -> None:
        queue = await self._subscribed()
        self._underlay = cast(Underlay, await queue.channel.get_underlay_channel())


async def _whole(message: RabbitMessage) -> RabbitMessage:
    """Decode nothing: the command's type says how to read its body."""
    return message
