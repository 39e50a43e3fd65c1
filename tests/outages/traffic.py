"""A steady trickle of commands while something is broken, each repeated until it is carried out."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.outages.calls import Answer, Caller, Order

AT_ONCE, PAUSE = 8, 0.2
"""Who sends side by side, and how long each rests after one that was carried out, seconds."""


@dataclass
class Traffic:
    """What was ordered, and how each order was answered at last."""

    orders: list[Order] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


@asynccontextmanager
async def traffic(caller: Caller, orders: Iterator[Order], *, pause: float = PAUSE) -> AsyncIterator[Traffic]:
    """Send orders while inside; on the way out wait until all that were begun are carried out."""
    sent, ending = Traffic(), asyncio.Event()

    async def keep_sending() -> None:
        for order in orders:
            if ending.is_set():
                return
            sent.orders.append(order)
            sent.answers.append(await caller.until_done(order))
            await asyncio.sleep(pause)

    async with asyncio.TaskGroup() as group:
        for _ in itertools.repeat(None, AT_ONCE):
            group.create_task(keep_sending())
        yield sent
        ending.set()
