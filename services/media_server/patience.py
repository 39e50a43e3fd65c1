"""Beside a broker or a database that is away: at a start, try again until it is there; at a stop, do not wait for long."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
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


async def within(seconds: float, work: Coroutine[None, None, object], what: str) -> None:
    """Do something at a stop; when it takes longer, or fails in whatever way, give it up: the stop goes on."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except Exception as error:
        log.warning("given up", what=what, error=str(error) or type(error).__name__)
