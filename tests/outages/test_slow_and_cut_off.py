"""Postgres answers each question 200 ms later while far more is asked than can be done; and nobody reaches Postgres or the broker."""

import asyncio
import itertools
import time

import psutil

from services.testing.system import System
from tests.outages.calls import Answer, Caller, Order, first_good, told
from tests.outages.conftest import LINKED
from tests.outages.crowd import Crowd, moves
from tests.outages.network import Network, slowed, swallowed
from tests.outages.traffic import traffic
from tests.truth import settled

DELAY, CALLERS, FOR = 0.2, 72, 6.0
"""Twelve callers a seat: eight commands of one may wait."""
CUT_FOR = 7.0
"""Longer than any statement may take, and than a lease."""
BACK_WITHIN = 4.0
GROWTH = 48 * 2**20
"""What a process may grow by while it is asked too much, bytes: buffers of connections and of what is in hand."""


async def test_a_slow_database_makes_calls_fail_in_time_and_nothing_grow(linked: System, links: Network) -> None:
    caller = Caller(linked.url)
    crowd = Crowd(linked, caller)
    await crowd.gather(meetings=2, seats=3, producers=5_000)
    before = {name: psutil.Process(linked.pid(name)).memory_info().rss for name in LINKED}
    asked: dict[str, Order] = {}
    answers: dict[str, Answer] = {}
    seats = itertools.cycle(crowd.seats)

    async def ask_again_and_again() -> None:
        while time.monotonic() < ends:
            order = crowd.produce(next(seats))
            asked[order.key] = order
            answers[order.key] = await caller.once(order)

    with slowed(DELAY, *links.postgres.values()):
        alone = await first_good(caller, itertools.repeat(crowd.produce(crowd.seats[0])), within=10)
        ends = time.monotonic() + FOR
        await asyncio.gather(*(ask_again_and_again() for _ in range(CALLERS)))
        grown = {name: psutil.Process(linked.pid(name)).memory_info().rss - rss for name, rss in before.items()}
    back = await first_good(caller, crowd.probes(), within=10)
    refused = dict(caller.refused)
    begun = [order for key, order in asked.items() if not answers[key].good]
    again = await caller.all_done(begun)
    told(
        {
            "alone": f"{alone:.2f} s",
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
    assert back <= BACK_WITHIN
    await crowd.agree([*(answer for answer in answers.values() if answer.good), *again], list(asked.values()))
    await settled(linked, within=15)
    await crowd.go()
    await caller.close()


async def test_everybody_cut_off_from_everything_works_again_when_the_network_is_whole(
    linked: System, links: Network
) -> None:
    caller = Caller(linked.url)
    crowd = Crowd(linked, caller)
    await crowd.gather(meetings=2, seats=4)
    before = await moves(linked)
    async with traffic(caller, map(crowd.produce, itertools.cycle(crowd.seats))) as sent:
        async with swallowed(*links.broker.values(), *links.postgres.values()):
            await asyncio.sleep(CUT_FOR)
        back = await first_good(caller, crowd.probes(), within=15)
    told({"sent": len(sent.orders), "refused": caller.refused, "back after": f"{back:.2f} s"})
    assert back <= BACK_WITHIN
    await crowd.agree(sent.answers, sent.orders)
    assert await moves(linked) == before
    await settled(linked, within=15)
    await crowd.go()
    await caller.close()
