"""Who gives up connecting leaves nothing behind that goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aio_pika.abc import AbstractIncomingMessage

from services.bus.connection import connect
from services.bus.consumer import Consumer
from services.testing.session import Broker
from tests.eventually import eventually
from tests.services.bus_peers import Line, some_queue


async def _connects(url: str) -> None:
    await connect(url, "impatient")


async def _consumes(url: str) -> None:
    async def arrive(_: AbstractIncomingMessage) -> None:
        return None

    await Consumer(url, "impatient", some_queue(), arrive=arrive, prefetch=1).start()


@pytest.mark.parametrize("start", [_connects, _consumes])
async def test_whoever_is_cancelled_while_it_connects_does_not_try_again(
    rabbitmq: Broker, start: Callable[[str], Awaitable[None]]
) -> None:
    line = Line(rabbitmq.url)
    line.stall()
    async with line.laid() as url:
        before = asyncio.all_tasks()
        starting = asyncio.ensure_future(start(url))
        await eventually(line.used)
        starting.cancel()
        assert isinstance((await asyncio.gather(starting, return_exceptions=True))[0], asyncio.CancelledError)

        async def nothing_goes_on() -> bool:
            return _but_the_lines(asyncio.all_tasks() - before) == set()

        await eventually(nothing_goes_on)


def _but_the_lines(tasks: set[asyncio.Task[Any]]) -> set[str]:
    """Return what runs, without the line itself."""
    names = {getattr(task.get_coro(), "__qualname__", "") for task in tasks}
    return {name for name in names if not name.startswith("Line.")}
