"""What is left in the queues: nothing waits where nobody is, and nothing died but what came too late."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel

from services.bus import KENDRA_COMMANDS
from services.bus.queues import DEAD
from services.testing.system import System

_EXPIRED = "expired"


async def leftovers(system: System) -> list[str]:
    """Name what waits in kendra's queue, and what lies in `dead` for another reason than its age."""
    async with _channel(system) as channel:
        found = []
        if waiting := await _waiting(channel, KENDRA_COMMANDS):
            found.append(f"{waiting} commands wait for a kendra")
    async with _channel(system) as channel:
        dead = await _dead(channel)
    return [*found, *(f"{number} × {what} in {DEAD}" for what, number in dead.items())]


async def _waiting(channel: AbstractChannel, queue: str) -> int:
    declared = await channel.declare_queue(queue, passive=True)
    return declared.declaration_result.message_count or 0


async def _dead(channel: AbstractChannel) -> Counter[str]:
    """Look at each dead letter; closing the channel puts all back."""
    queue = await channel.get_queue(DEAD, ensure=False)
    found: Counter[str] = Counter()
    while (message := await queue.get(fail=False)) is not None:
        reason = str(message.headers.get("x-first-death-reason", "unknown"))
        if reason != _EXPIRED:
            found[f"{message.type} ({reason})"] += 1
    return found


@asynccontextmanager
async def _channel(system: System) -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(system.amqp_url, timeout=5.0) as connection:
        yield await connection.channel()
