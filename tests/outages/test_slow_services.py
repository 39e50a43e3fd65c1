"""Postgres answers each question 200 ms later, and far more is asked than can be done: calls end in time, nothing piles up."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator

import psutil
import pytest

from services.testing.system import System, running_system
from tests.outages.calls import Answer, Caller, Order, first_good, told
from tests.outages.conftest import SETTINGS
from tests.outages.crowd import Crowd
from tests.outages.network import Network
from tests.outages.private import OwnServices
from tests.truth import settled

DELAY, CALLERS, FOR = 0.2, 120, 8.0
GROWTH = 48 * 2**20
"""What a process may grow by while it is asked too much, bytes: buffers of connections and of what is in hand."""
SLOWED = ("gateway-1", "kendra-1", "media-server-1")


@pytest.fixture
async def network(services: OwnServices) -> AsyncIterator[Network]:
    """The network of every process."""
    one = Network(*SLOWED)
    yield one
    await one.close()


@pytest.fixture
async def slow(services: OwnServices, network: Network) -> AsyncIterator[System]:
    """A system in which every way to Postgres may be slow."""
    async with running_system(
        services, media_servers=1, settings=SETTINGS, late=SLOWED, routed=network.routed
    ) as system:
        await network.open()
        await asyncio.gather(*map(system.start, SLOWED))
        yield system


async def test_a_slow_database_makes_calls_fail_in_time_and_nothing_grow(slow: System, network: Network) -> None:
    caller = Caller(slow.url)
    crowd = Crowd(slow, caller)
    await crowd.gather(meetings=3, seats=4, producers=5_000)
    before = {name: psutil.Process(slow.pid(name)).memory_info().rss for name in SLOWED}
    asked: dict[str, Order] = {}
    answers: dict[str, Answer] = {}
    ends = time.monotonic() + FOR

    async def ask_again_and_again() -> None:
        while time.monotonic() < ends:
            order = crowd.produce(next(seats))
            asked[order.key] = order
            answers[order.key] = await caller.once(order)

    seats = itertools.cycle(crowd.seats)
    for link in network.postgres.values():
        link.delay = DELAY
    await asyncio.gather(*(ask_again_and_again() for _ in range(CALLERS)))
    grown = {name: psutil.Process(slow.pid(name)).memory_info().rss - rss for name, rss in before.items()}
    for link in network.postgres.values():
        link.delay = 0.0
    back = await first_good(caller, crowd.probes(), within=10)
    refused = dict(caller.refused)
    begun = [order for key, order in asked.items() if not answers[key].good]
    again = await caller.all_done(begun)
    told(
        {
            "asked": len(asked),
            "carried out at once": len(asked) - len(begun),
            "refused": refused,
            "slowest": f"{caller.slowest:.2f} s",
            "grown, MiB": {name: round(grew / 2**20) for name, grew in grown.items()},
            "back after": f"{back:.2f} s",
        }
    )
    assert refused["busy"] > 0
    assert max(grown.values()) < GROWTH
    assert back <= 2.0
    await crowd.agree([*(answer for answer in answers.values() if answer.good), *again], list(asked.values()))
    await settled(slow, within=15)
    await crowd.go()
    await caller.close()
