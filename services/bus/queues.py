"""The queues and exchanges of the bus, with the arguments that every process declares alike.

Everything is durable, so that it is legal on RabbitMQ 3.10 and 4.x; messages are transient, for their askers wait for them.
A queue is never declared again with other arguments: the broker would close the channel that tries.
"""

from dataclasses import dataclass
from typing import Literal

from aio_pika import ExchangeType
from aio_pika.abc import AbstractRobustChannel
from faststream.rabbit import RabbitQueue

from contracts.ids import BootId, MediaServerId

KENDRA_COMMANDS = "kendra.commands"
DEAD = "dead"
WATCH = "watch"
REPLY_PREFIX = "reply."
COMMANDS_KEPT = 30.0
REPLIES_KEPT = 60.0
"""How long a queue of its own outlives a process, seconds, unless an operator says otherwise. The broker removes it."""

Kind = Literal["classic", "quorum"]
Argument = str | int


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A durable queue: its name, its type and the arguments besides."""

    name: str
    kind: Kind = "classic"
    extra: tuple[tuple[str, Argument], ...] = ()

    @property
    def arguments(self) -> dict[str, Argument]:
        """Return what it is declared with."""
        return {"x-queue-type": self.kind, **dict(self.extra)}

    async def declare(self, channel: AbstractRobustChannel) -> None:
        """Make the queue if it is not there; other arguments than the existing queue's are an error that closes the channel."""
        await channel.declare_queue(self.name, durable=True, arguments=dict(self.arguments), robust=False)

    def subscribed(self) -> RabbitQueue:
        """Return the same queue in FastStream's words."""
        queue = RabbitQueue(self.name, durable=True)
        queue.arguments = dict(self.arguments)
        return queue


def media_queue(server: MediaServerId, boot: BootId) -> str:
    """Return the name of a media server's command queue."""
    return f"media.{server}.{boot}.commands"


def kendra_commands(kind: Kind = "classic") -> QueueSpec:
    """Return the queue all kendras share. `quorum` is for a RabbitMQ cluster, where a classic queue dies with its node."""
    limit: tuple[tuple[str, Argument], ...] = (("x-delivery-limit", 3),) if kind == "quorum" else ()
    return QueueSpec(KENDRA_COMMANDS, kind, (("x-dead-letter-exchange", DEAD), *limit))


def media_commands(server: MediaServerId, boot: BootId, kept: float = COMMANDS_KEPT) -> QueueSpec:
    """Return the queue of one boot of a media server: gone `kept` seconds after its last consumer, and it refuses what it cannot hold."""
    return QueueSpec(
        media_queue(server, boot),
        extra=(
            ("x-expires", int(kept * 1000)),
            ("x-max-length", 10_000),
            ("x-overflow", "reject-publish"),
            ("x-dead-letter-exchange", DEAD),
        ),
    )


def replies(service: str, process: str, kept: float = REPLIES_KEPT) -> QueueSpec:
    """Return the queue in which a process gets its replies: it outlives a reconnect, and is gone `kept` seconds after its consumer."""
    return QueueSpec(f"{REPLY_PREFIX}{service}.{process}", extra=(("x-expires", int(kept * 1000)),))


def dead() -> QueueSpec:
    """Return the queue of what nobody handled; the newest 10,000 are kept."""
    return QueueSpec(DEAD, extra=(("x-max-length", 10_000),))


async def declare_shared(channel: AbstractRobustChannel) -> None:
    """Make what all services share: the topic exchange `watch`, and the exchange and queue `dead`."""
    await channel.declare_exchange(WATCH, ExchangeType.TOPIC, durable=True)
    exchange = await channel.declare_exchange(DEAD, ExchangeType.FANOUT, durable=True)
    spec = dead()
    queue = await channel.declare_queue(spec.name, durable=True, arguments=dict(spec.arguments))
    await queue.bind(exchange)
