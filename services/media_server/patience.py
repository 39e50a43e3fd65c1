"""Starting beside a broker or a database that is away: try again until it is there, and say so."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, TypeVar

import structlog

from contracts.failure import KendraError
from services.bus.connection import LOST

AGAIN = 0.5

log = structlog.stdlib.get_logger("media server")


class Startable(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


StartableT = TypeVar("StartableT", bound=Startable)


async def started(build: Callable[[], StartableT]) -> StartableT:
    """Return something of the broker's, started; built anew until it does."""
    while True:
        thing = build()
        try:
            await thing.start()
            return thing
        except (*LOST, OSError, TimeoutError) as error:
            log.warning("the broker is away", error=str(error) or type(error).__name__)
            with suppress(*LOST, OSError, TimeoutError):
                await thing.stop()
        await asyncio.sleep(AGAIN)


async def written(work: Callable[[], Awaitable[None]]) -> None:
    """Do something until the database lets us."""
    while True:
        try:
            return await work()
        except KendraError as error:
            log.warning("the database is away", reason=error.reason)
        await asyncio.sleep(AGAIN)
