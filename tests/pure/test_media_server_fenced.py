"""A fenced media server forwards until its clients have gone over, and not for long."""

import asyncio
import time
from types import SimpleNamespace
from typing import cast

from services.media_server.fenced import until_left
from services.media_server.registry import Registry


def registry(transports: dict[str, object]) -> Registry:
    """Return one with a room that has these transports."""
    return cast(Registry, SimpleNamespace(rooms={("acme", "standup"): SimpleNamespace(transports=transports)}))


async def test_it_ends_when_the_last_client_has_gone() -> None:
    transports: dict[str, object] = {"t1": None}
    waiting = asyncio.create_task(until_left(registry(transports), longest=60))
    await asyncio.wait([waiting], timeout=0.2)
    assert not waiting.done()
    transports.clear()
    async with asyncio.timeout(5):
        await waiting


async def test_it_does_not_wait_long_for_who_stays() -> None:
    began = time.monotonic()
    await until_left(registry({"t1": None}), longest=0.2)
    assert 0.2 <= time.monotonic() - began < 5
