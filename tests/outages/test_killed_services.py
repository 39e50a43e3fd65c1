"""Postgres, the broker and Redis are killed in the midst of two hundred commands: each is answered in time and has its effect once."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg
import pytest

from services.cli.participant.participant import Participant
from services.testing.system import System
from tests.outages.calls import Answer, Caller, Order, first_good, told
from tests.outages.crowd import Crowd, moves
from tests.outages.private import OwnServices
from tests.outages.watching import watched

COMMANDS, COMMITS, LOOKS_EACH = 200, 30, 0.01
BACK_WITHIN = 2.0
"""Seconds from when the service answers again until a command is carried out."""


class Storm:
    """Two hundred orders, each sent once, sixteen at a time; `reached` a certain one while others are under way."""

    def __init__(self, caller: Caller, orders: list[Order], at: int) -> None:
        self._caller, self._orders, self._at = caller, orders, at
        self.reached = asyncio.Event()
        self.answers: list[Answer] = []
        self._begun = 0

    async def run(self) -> None:
        """Send them all."""
        slots = asyncio.Semaphore(16)
        self.answers = await asyncio.gather(*(self._send(slots, order) for order in self._orders))

    async def _send(self, slots: asyncio.Semaphore, order: Order) -> Answer:
        async with slots:
            self._begun += 1
            if self._begun == self._at:
                self.reached.set()
            return await self._caller.once(order)


@dataclass(frozen=True)
class Stage:
    """What each of these tests needs."""

    hurt: System
    services: OwnServices
    crowd: Crowd
    caller: Caller
    ravi: Participant


@pytest.fixture
async def stage(hurt: System, services: OwnServices, crowd: Crowd, caller: Caller, ravi: Participant) -> Stage:
    """A crowd that is seated, and a call that goes on."""
    await crowd.gather()
    return Stage(hurt, services, crowd, caller, ravi)


async def storm_over(stage: Stage, outage: Callable[[], Awaitable[None]]) -> None:
    """Send the commands, have the outage in their midst, repeat what was not carried out; everything is there once, and where it was."""
    hurt, crowd, caller = stage.hurt, stage.crowd, stage.caller
    seed = random.randrange(1_000_000)
    orders, before = crowd.orders(COMMANDS), await moves(hurt)
    storm = Storm(caller, orders, random.Random(seed).randrange(20, COMMANDS - 20))
    async with watched(stage.ravi) as seen, crowd.read() as reader, asyncio.TaskGroup() as group:
        sending = group.create_task(storm.run())
        await storm.reached.wait()
        began = time.monotonic()
        await outage()
        away = time.monotonic() - began
        back = await first_good(caller, crowd.probes(), within=15)
        await sending
        unanswered = [order for order, answer in zip(orders, storm.answers, strict=True) if not answer.good]
        again = await caller.all_done(unanswered)
        await reader.has_all(await crowd.head(crowd.meetings[0]))
    told(
        {
            "seed": seed,
            "away": f"{away:.2f} s",
            "back after": f"{back:.2f} s",
            "repeated": len(unanswered),
            "media stood still": {kind: f"{longest:.2f} s" for kind, longest in seen.stood.items()},
        }
    )
    await crowd.agree([*(answer for answer in storm.answers if answer.good), *again], orders)
    seen.flowed()
    assert back <= BACK_WITHIN
    assert await moves(hurt) == before


async def test_the_broker_is_killed(stage: Stage) -> None:
    async def outage() -> None:
        await stage.services.kill("rabbitmq")
        await stage.services.start("rabbitmq")

    await storm_over(stage, outage)


async def test_postgres_is_killed(stage: Stage) -> None:
    async def outage() -> None:
        await stage.services.kill("postgres")
        await stage.services.start("postgres")

    await storm_over(stage, outage)


@pytest.mark.parametrize("wiped", [False, True], ids=["and keeps its data", "and loses its data"])
async def test_redis_is_killed(stage: Stage, wiped: bool) -> None:
    async def outage() -> None:
        await stage.services.kill("redis")
        if wiped:
            stage.services.wipe_redis()
        await stage.services.start("redis")

    await storm_over(stage, outage)
    assert stage.caller.refused == {}


async def test_backends_are_ended_while_they_commit(stage: Stage) -> None:
    administrator = stage.services.services.postgres
    assert administrator is not None
    database = await asyncpg.connect(administrator.url("postgres", stage.hurt.database.name))
    ended: list[str] = []

    async def outage() -> None:
        began = time.monotonic()
        while len(ended) < COMMITS and time.monotonic() - began < 4:
            ended.extend(row["query"] for row in await database.fetch(END_A_COMMIT))
            await asyncio.sleep(LOOKS_EACH)

    await _slow_commits(database, microseconds=20_000)
    try:
        await storm_over(stage, outage)
    finally:
        await _slow_commits(database, microseconds=0)
        await database.close()
    told({"ended": len(ended), "while": sorted(set(ended))})
    assert ended


END_A_COMMIT = """
    select query, pg_terminate_backend(pid) from (
        select pid, query from pg_stat_activity
        where datname = current_database() and state = 'active' and query ilike 'commit%' order by random() limit 1
    ) one
"""


async def _slow_commits(database: asyncpg.Connection, *, microseconds: int) -> None:
    """Let each commit wait a moment before it is written, so that there is something to hit."""
    await database.execute(f"alter system set commit_delay = {microseconds}")
    await database.execute(f"alter system set commit_siblings = {0 if microseconds else 5}")
    await database.fetchval("select pg_reload_conf()")
