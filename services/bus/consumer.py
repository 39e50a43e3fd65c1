"""The FastStream side of serving: one subscriber on one queue, with a bounded prefetch and acknowledgement by hand.

FastStream's own replies are off: it would publish them on the channel everything else uses. Its `request()` is never used: it holds
one lock for the whole round trip.
"""

from collections.abc import Awaitable, Callable
from typing import cast

from aio_pika import RobustChannel, RobustQueue
from aio_pika.abc import AbstractIncomingMessage
from aiormq import Channel as Underlay
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker
from faststream.rabbit.message import RabbitMessage

from services.bus.connection import RECONNECT, named
from services.bus.queues import QueueSpec

Arrival = Callable[[AbstractIncomingMessage], Awaitable[None]]


class Consumer:
    """Hands each message of a queue to `arrive`, at most `prefetch` at a time, and comes back by itself after a lost connection."""

    def __init__(self, url: str, name: str, queue: QueueSpec, *, arrive: Arrival, prefetch: int) -> None:
        self._queue = queue.subscribed()
        self._underlay: Underlay | None = None
        self._broker = RabbitBroker(
            named(url, name),
            reconnect_interval=RECONNECT,
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
        return self._underlay is not None and not self._underlay.is_closed and bool(self._underlay.consumers)

    async def start(self) -> None:
        """Connect, declare the queue and begin to consume."""
        await self._broker.start()
        queue = await self._subscribed()
        cast(RobustChannel, queue.channel).reopen_callbacks.add(self._look)
        await self._look()

    async def cancel(self) -> None:
        """Ask the broker for no more messages. Those already on their way still arrive."""
        if not self.consuming or self._underlay is None:
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
        await self._broker.stop()

    async def _subscribed(self) -> RobustQueue:
        """Return the queue on the subscriber's own channel: FastStream declares each queue once and remembers where."""
        return await self._broker.declare_queue(self._queue)

    async def _look(self, *_: object) -> None:
        queue = await self._subscribed()
        self._underlay = cast(Underlay, await queue.channel.get_underlay_channel())


async def _whole(message: RabbitMessage) -> RabbitMessage:
    """Decode nothing: the command's type says how to read its body."""
    return message
