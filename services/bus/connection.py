"""Connections to the broker that come back by themselves, and what a send over one may fail with."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import aio_pika
import aiormq
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import AMQPError
from pamqp.commands import Basic
from yarl import URL

Properties = Basic.Properties
TRANSIENT = 1
"""The delivery mode of all messages."""

LOST = (AMQPError, ConnectionError, RuntimeError)
"""What aio-pika raises while a connection or channel is away; `RuntimeError` includes its invalid state."""

RECONNECT = 0.5
HEARTBEAT = 5
TRY = 5.0
"""How long one try to connect may take, seconds: one that was begun while the network was cut goes on for nothing when it is whole."""
_PAUSE = 0.05

aiormq.Connection.HEARTBEAT_GRACE_MULTIPLIER = 1.5  # type: ignore[assignment]
"""A peer that is silent for (heartbeat + 1) times this, 9 s, is gone: it says something each 2.5 s. By default that takes 18 s."""


def named(url: str, name: str) -> str:
    """Return the broker's URL with the connection's name, and our heartbeat unless it has one: a dead peer is noticed within about two of them."""
    parsed = URL(url)
    return str(parsed.update_query({"heartbeat": str(HEARTBEAT), **parsed.query, "name": name}))


class Connection(aio_pika.RobustConnection):
    """aio-pika's, which goes on trying to connect for ever when who waited for its first try was cancelled: nobody has it to close it then."""

    async def connect(self, timeout: aio_pika.abc.TimeoutType = None) -> None:
        """Connect; what fails, or is cancelled, leaves nothing behind."""
        try:
            await super().connect(timeout)
        except BaseException:
            await self.close()
            raise


async def connect(url: str, name: str) -> AbstractRobustConnection:
    """Return a connection that reconnects each half second for ever; the first one must come up within 5 s."""
    return await aio_pika.connect_robust(
        named(url, name), connection_class=Connection, reconnect_interval=RECONNECT, timeout=TRY
    )


@contextmanager
def hanging_up() -> Iterator[None]:
    """Raise ConnectionError for what aio-pika lets out when a broker hangs up in the midst of a start: a cancel nobody asked for, an end of iteration."""
    try:
        yield
    except StopAsyncIteration as error:
        raise ConnectionError("the broker hung up") from error
    except asyncio.CancelledError as error:
        if not lost_by_peer(error):
            raise
        raise ConnectionError("the broker hung up") from error


async def open_channel(connection: AbstractRobustConnection, *, confirms: bool) -> AbstractRobustChannel:
    """Return a channel of its own; a failure on it harms no other."""
    channel = connection.channel(publisher_confirms=confirms, on_return_raises=False)
    await channel.initialize()
    assert isinstance(channel, AbstractRobustChannel)
    return channel


async def publish(
    channel: AbstractRobustChannel,
    body: bytes,
    properties: Properties,
    key: str,
    *,
    exchange: str = "",
    mandatory: bool = False,
) -> bool:
    """Send one message and, on a channel with confirms, wait for the broker's word; False when it found no queue for it.

    While the broker blocks its publishers this waits, so nothing piles up in memory; the caller has the deadline. Raises
    DeliveryError when the queue refuses the message, and what LOST says.
    """
    underlay = cast(aiormq.Channel, await channel.get_underlay_channel())
    await underlay.connection.ready()
    result = await underlay.basic_publish(
        body, exchange=exchange, routing_key=key, properties=properties, mandatory=mandatory, wait=False
    )
    return not isinstance(result, DeliveredMessage)


def milliseconds(seconds: float) -> str:
    """Return AMQP's `expiration`: never 0, which would mean at once."""
    return str(max(1, int(seconds * 1000)))


async def usable(channel: AbstractRobustChannel) -> None:
    """Wait until the channel is there again. The caller has the deadline."""
    await asyncio.sleep(_PAUSE)
    await channel.ready()


def lost_by_peer(error: BaseException) -> bool:
    """Say whether a failed send means that the connection is away, not that the sender was cancelled or the message refused.

    aio-pika cancels what waits for a confirm when a stuck connection is closed: nobody asked our task to stop then.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() == 0
    return isinstance(error, LOST)
