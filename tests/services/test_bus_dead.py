"""The queue `dead` on a real broker: what expired is dropped, what nobody could read is kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aio_pika import Message
from prometheus_client import REGISTRY

from services.bus.dead import DeadLetters
from services.testing.session import Broker
from tests.eventually import eventually
from tests.services.bus_peers import Stranger, World, serving, some_queue, stranger


@asynccontextmanager
async def watching(url: str, number: str) -> AsyncIterator[DeadLetters]:
    letters = DeadLetters(url, "try", number, period=3600)
    await letters.start()
    try:
        yield letters
    finally:
        await letters.stop()


def counted(reason: str) -> float:
    return REGISTRY.get_sample_value("doordarshan_dead_letters_total", {"reason": reason}) or 0.0


async def waiting(tool: Stranger) -> int:
    return (await tool.channel.declare_queue("dead", passive=True)).declaration_result.message_count or 0


async def test_expired_commands_are_counted_and_dropped_and_poison_is_kept(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with stranger(rabbitmq.url) as tool:
        async with serving(rabbitmq.url, queue, World()):
            before = await waiting(tool)
            for _ in range(3):
                await tool.send(queue.name, b"{")
                await tool.reply()
        await tool.channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))
        for _ in range(4):
            await tool.send(queue.name, b'{"text": "late"}', expiration=0.001)

        async def all_dead() -> bool:
            return await waiting(tool) == before + 7

        await eventually(all_dead)
        expired, rejected = counted("expired"), counted("rejected")
        async with watching(rabbitmq.url, "1") as first, watching(rabbitmq.url, "2") as second:

            async def all_kept() -> bool:
                return await first.look() + await second.look() == 2 * (before + 3)

            await eventually(all_kept)
        assert await waiting(tool) == before + 3
        assert (counted("expired") - expired, counted("rejected") - rejected) == (4, 3)


async def test_what_died_behind_a_thousand_that_are_kept_is_seen(rabbitmq: Broker) -> None:
    async with stranger(rabbitmq.url) as tool:
        before = await waiting(tool)
        for reason in ["rejected"] * 1001 + ["expired"]:
            message = Message(b"{", headers={"x-first-death-reason": reason})
            await tool.channel.default_exchange.publish(message, "dead")

        async def all_there() -> bool:
            return await waiting(tool) == before + 1002

        await eventually(all_there)
        async with watching(rabbitmq.url, "1") as letters:

            async def all_kept() -> bool:
                return await letters.look() == before + 1001

            await eventually(all_kept, within=20.0)
        await (await tool.channel.get_queue("dead")).purge()


async def test_what_was_kept_for_long_enough_is_dropped(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with stranger(rabbitmq.url) as tool:
        async with serving(rabbitmq.url, queue, World()):
            await tool.send(queue.name, b"{")
            await tool.reply()
        await tool.channel.default_exchange.publish(Message(b"put here by hand"), "dead")
        by_hand = await waiting(tool)
        async with watching(rabbitmq.url, "1") as letters:

            async def seen() -> bool:
                return await letters.look() >= by_hand

            await eventually(seen)
        forgetful = DeadLetters(rabbitmq.url, "try", "2", kept=0.0, period=3600)
        await forgetful.start()

        async def dropped() -> bool:
            kept = await forgetful.look()
            return 0 < kept < by_hand

        await eventually(dropped)
        await forgetful.stop()
        left = await (await tool.channel.get_queue("dead")).get()
        assert left is not None
        assert left.body == b"put here by hand"
        await left.ack()
