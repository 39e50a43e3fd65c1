"""What is in Postgres against what the media servers have in memory, asked over the bus as any tool would."""

import asyncio
import json
from typing import Any, NamedTuple
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue

from services.testing.system import System


class Answer(NamedTuple):
    """The type and the JSON of a reply."""

    type: str
    body: dict[str, Any]


Sets = dict[str, set[str]]
NOUNS = ("routers", "transports", "producers", "consumers")


async def live_rows(system: System) -> Sets:
    """Return the ids of all routers, transports, producers and consumers that Postgres knows."""
    found: Sets = {"routers": {row[0] for row in await system.postgres.fetch("select router from allocations")}}
    for noun in NOUNS[1:]:
        found[noun] = {row[0] for row in await system.postgres.fetch(f"select id from {noun}")}  # noqa: S608
    return found


async def live_memory(system: System) -> Sets:
    """Return the same of all live media servers' memories, by `ListLive`."""
    found: Sets = {noun: set() for noun in NOUNS}
    boots = await system.postgres.fetch(
        "select server, boot from media_servers where renewed_at > clock_timestamp() - interval '5 s'"
    )
    for row in boots:
        answer = await ask(system, f"media.{row['server']}.{row['boot']}.commands", "ListLive", {})
        assert answer.type == "LiveListed", answer
        for router in answer.body["routers"]:
            found["routers"].add(router["routerId"])
            for noun in NOUNS[1:]:
                found[noun] |= set(router[noun])
    return found


async def rows_equal_memory(system: System, within: float = 5.0) -> None:
    """Wait until both hold the same; show the difference if they never do."""
    rows: Sets = {}
    memory: Sets = {}
    try:
        async with asyncio.timeout(within):
            while True:
                rows, memory = await live_rows(system), await live_memory(system)
                if rows == memory:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        for noun in NOUNS:
            assert rows.get(noun) == memory.get(noun), f"{noun}: rows and memory differ"


async def ask(system: System, queue: str, type_: str, body: object, **headers: object) -> Answer:
    """Send one command as broker user `tool` and return its reply. `headers` are those of docs/bus.md."""
    connection = await aio_pika.connect(system.tool_amqp_url)
    async with connection:
        channel = await connection.channel()
        replies = await channel.declare_queue(
            f"reply.tool.{uuid4().hex}", durable=True, arguments={"x-queue-type": "classic", "x-expires": 60_000}
        )
        command = str(uuid4())
        message = aio_pika.Message(
            json.dumps(body).encode(),
            type=type_,
            message_id=command,
            correlation_id=command,
            reply_to=replies.name,
            expiration=5,
            headers={"remainingMs": 5000, "tenant": "demo", "meeting": "none", **headers},
        )
        await channel.default_exchange.publish(message, queue)
        reply = await replies.get(timeout=5, fail=False) or await _next(replies)
        await replies.delete(if_unused=False, if_empty=False)
        return Answer(str(reply.type), json.loads(reply.body))


async def _next(queue: AbstractQueue) -> AbstractIncomingMessage:
    arrived: asyncio.Future[AbstractIncomingMessage] = asyncio.get_running_loop().create_future()

    async def take(message: AbstractIncomingMessage) -> None:
        arrived.set_result(message)

    await queue.consume(take, no_ack=True)
    return await asyncio.wait_for(arrived, 5)
