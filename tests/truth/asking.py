"""Commands to the running system as any tool sends them: broker user `tool`, one connection, one reply queue."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from services.testing.system import System

_SECONDS = 5.0


class Answer(NamedTuple):
    """The type and the JSON of a reply."""

    type: str
    body: dict[str, Any]


class Tool:
    """An asker. `ask` may be called many times, side by side."""

    def __init__(self, channel: AbstractChannel, replies: str) -> None:
        self._channel, self._replies = channel, replies
        self._waiting: dict[str, asyncio.Future[Answer]] = {}

    async def ask(self, queue: str, type_: str, body: object, *, within: float = _SECONDS, **headers: object) -> Answer:
        """Send one command and return its reply; `headers` are those of docs/bus.md. Raises TimeoutError."""
        command = str(uuid4())
        answer = self._waiting[command] = asyncio.get_running_loop().create_future()
        message = aio_pika.Message(
            json.dumps(body).encode(),
            type=type_,
            message_id=command,
            correlation_id=command,
            reply_to=self._replies,
            expiration=within,
            headers={"remainingMs": int(within * 1000), "tenant": "demo", "meeting": "none", **headers},
        )
        try:
            async with asyncio.timeout(within):
                await self._channel.default_exchange.publish(message, queue)
                return await answer
        finally:
            del self._waiting[command]

    async def _take(self, message: AbstractIncomingMessage) -> None:
        waiting = self._waiting.get(message.correlation_id or "")
        if waiting is not None and not waiting.done():
            waiting.set_result(Answer(str(message.type), json.loads(message.body)))


@asynccontextmanager
async def tool(system: System) -> AsyncIterator[Tool]:
    """Give an asker on a connection of its own."""
    connection = await aio_pika.connect(system.tool_amqp_url, timeout=_SECONDS)
    async with connection:
        channel = await connection.channel()
        replies = await channel.declare_queue(
            f"reply.tool.{uuid4().hex}", durable=True, arguments={"x-queue-type": "classic", "x-expires": 60_000}
        )
        asker = Tool(channel, replies.name)
        await replies.consume(asker._take, no_ack=True)
        yield asker
        await replies.delete(if_unused=False, if_empty=False)


async def ask(system: System, queue: str, type_: str, body: object, **headers: object) -> Answer:
    """Send one command and return its reply."""
    async with tool(system) as asker:
        return await asker.ask(queue, type_, body, **headers)
