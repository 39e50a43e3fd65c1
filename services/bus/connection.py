"""Connections to the broker that come back by themselves, and what a send over one may fail with."""

import asyncio

import aio_pika
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection
from aiormq.exceptions import AMQPError
from yarl import URL

LOST = (AMQPError, ConnectionError, RuntimeError)
"""What aio-pika raises while a connection or channel is away; `RuntimeError` includes its invalid state."""

RECONNECT = 0.5
HEARTBEAT = 5
_FIRST = 10.0
_PAUSE = 0.05


def named(url: str, name: str) -> str:
    """Return the broker's URL with the connection's name, and our heartbeat unless it has one: a dead peer is noticed within about two."""
    parsed = URL(url)
    return str(parsed.update_query({"heartbeat": str(HEARTBEAT), **parsed.query, "name": name}))


async def connect(url: str, name: str) -> AbstractRobustConnection:
    """Return a connection that reconnects each half second for ever; the first one must come up within 10 s."""
    return await aio_pika.connect_robust(named(url, name), reconnect_interval=RECONNECT, timeout=_FIRST)


async def open_channel(connection: AbstractRobustConnection, *, confirms: bool) -> AbstractRobustChannel:
    """Return a channel of its own; a failure on it harms no other."""
    channel = connection.channel(publisher_confirms=confirms, on_return_raises=False)
    await channel.initialize()
    assert isinstance(channel, AbstractRobustChannel)
    return channel


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
