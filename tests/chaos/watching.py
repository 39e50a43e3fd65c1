"""What is looked at while faults come and go, and after: invariants I4, I5, I7, I8 and I10 of the fault plan, from outside."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aio_pika

from tests.chaos.cluster import Cluster
from tests.chaos.history import Logged
from tests.truth import AWAY, settled, tool
from tests.truth.asking import Tool
from tests.truth.seen import Key, Thing

FENCED_WITHIN = 10.0
"""How long after the fence reached its server nothing of an older epoch may be forwarded."""
_EACH = 0.5
_MOST_WAITING = 100
"""Commands that may wait for a kendra at once: what the people here ask for in the longest freeze."""


@dataclass
class Fences:
    """I5: who still holds routers of an epoch that is over, and since when; who cannot be asked may still."""

    since: dict[Thing, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def saw(self, stale: set[Thing], answered: set[tuple[str, str]], now: float) -> None:
        """Take note of one look: what was stale, and which boots (server, boot) answered."""
        for router in [one for one in self.since if one not in stale and (one.server, one.boot) in answered]:
            del self.since[router]
        for router in stale:
            began = self.since.setdefault(router, now)
            if now - began > FENCED_WITHIN:
                self.wrong.append(f"I5: router {router} still forwards {now - began:.0f} s after its epoch was over")
                self.since[router] = float("inf")


async def watch_fences(cluster: Cluster, fences: Fences) -> None:
    """Look twice a second, for ever; while a service is away there is nothing to look at."""
    boots: set[tuple[str, str]] = set()
    while True:
        try:
            async with tool(cluster.system) as asker:
                while True:
                    fences.saw(*await _stale(cluster, asker, boots), time.monotonic())
                    await asyncio.sleep(_EACH)
        except AWAY:
            await asyncio.sleep(_EACH)


async def _stale(cluster: Cluster, asker: Tool, boots: set[tuple[str, str]]) -> tuple[set[Thing], set[tuple[str, str]]]:
    """Return the routers in memory that their meeting does not want (any more), and who was heard; boots that were buried are asked too."""
    wanted = {
        Key(row["tenant"], row["meeting"]): row
        for row in await cluster.system.postgres.fetch(
            "select tenant, meeting, epoch, server, boot, kept_epoch, kept_server, kept_boot,"
            " keep_until > clock_timestamp() as kept from meetings"
        )
    }
    rows = await cluster.system.postgres.fetch("select server, boot from media_servers")
    boots |= {(row["server"], row["boot"]) for row in rows}
    stale: set[Thing] = set()
    asked = sorted(boots)
    told = dict(zip(asked, await asyncio.gather(*(_routers(boot, asker) for boot in asked)), strict=True))
    for routers in told.values():
        for router in routers or ():
            row = wanted.get(router.meeting)
            now = row and (row["epoch"], row["server"], row["boot"])
            kept = row and row["kept"] and (row["kept_epoch"], row["kept_server"], row["kept_boot"])
            if (router.epoch, router.server, router.boot) not in {now, kept}:
                stale.add(router)
    return stale, {boot for boot, routers in told.items() if routers is not None}


async def _routers(boot: tuple[str, str], asker: Tool) -> list[Thing] | None:
    """Return the routers that a boot says it has; None when it does not answer."""
    try:
        answer = await asker.ask(f"media.{boot[0]}.{boot[1]}.commands", "ListLive", {}, within=1.0)
    except TimeoutError:
        return None
    return [
        Thing(one["routerId"], Key(one["tenant"], one["meetingId"]), one["epoch"], *boot)
        for one in answer.body.get("routers", ())
    ]


async def at_rest(cluster: Cluster, within: float) -> list[str]:
    """Return what does not hold once everybody is gone and nothing is broken (I2, I4, I7, I10, bookings)."""
    try:
        await settled(cluster.system, within=within)
    except AssertionError as differences:
        return [f"at rest: {line}" for line in str(differences).splitlines()]
    return []


async def logs(cluster: Cluster) -> list[Logged]:
    """Return every event of every meeting."""
    rows = await cluster.system.postgres.fetch(
        'select meeting, sequence, epoch, type, "to", body::text as body from events order by meeting, sequence'
    )
    return [Logged.read(row) for row in rows]


async def watch_queues(cluster: Cluster, wrong: list[str]) -> None:
    """See to it, twice a second and for ever, that commands do not pile up (I8); while the broker is away there is nothing to look at."""
    while True:
        try:
            async with await aio_pika.connect(cluster.system.amqp_url) as connection:
                while True:
                    channel = await connection.channel()
                    queue = await channel.declare_queue("kendra.commands", passive=True)
                    waiting = queue.declaration_result.message_count or 0
                    if waiting > _MOST_WAITING:
                        wrong.append(f"I8: {waiting} commands wait for kendra")
                    await channel.close()
                    await asyncio.sleep(_EACH)
        except AWAY:
            await asyncio.sleep(_EACH)


async def queues(cluster: Cluster) -> list[str]:
    """Return what is left in the shared queues (I8)."""
    wrong = []
    async with await aio_pika.connect(cluster.system.amqp_url) as connection:
        channel = await connection.channel()
        for name in ("kendra.commands", "dead"):
            queue = await channel.declare_queue(name, passive=True)
            left = queue.declaration_result.message_count
            message = await queue.get(fail=False) if left else None
            if message is not None:
                wrong.append(f"I8: {left} messages are left in {name}: {message.type} {dict(message.headers)}")
    return wrong


async def eventually_none(look: Callable[[], Awaitable[list[str]]], within: float) -> list[str]:
    """Return what is wrong after a while, or nothing as soon as nothing is."""
    until = time.monotonic() + within
    while (wrong := await look()) and time.monotonic() < until:
        await asyncio.sleep(0.2)
    return wrong
