"""Two kendras share the queue and one is killed whenever both are ready, while people join: each is seated once, and everybody hears of it."""

import asyncio
import itertools
import time
from collections import Counter

from services.testing.system import System
from tests.outages.calls import Answer, Caller, Order, told
from tests.outages.crowd import Crowd, seat_of
from tests.outages.spares import Spares

JOINS_A_SECOND = 20
KILLS, WITHIN = 8, 20.0


async def test_a_kendra_is_killed_whenever_both_are_ready(
    hurt: System, spares: Spares, caller: Caller, crowd: Crowd
) -> None:
    await crowd.gather(meetings=4, seats=0, producers=1, capacity=200)
    joins: list[tuple[Order, asyncio.Task[Answer]]] = []
    async with crowd.read() as reader, asyncio.TaskGroup() as group:
        killing = group.create_task(_kill(spares))
        began = time.monotonic()
        for number, meeting in enumerate(itertools.cycle(crowd.meetings)):
            if killing.done():
                break
            body = {"participantId": f"j{number}", "instanceId": f"j{number}-1"}
            order = Order(f"/v1/meetings/{meeting}/join", hurt.token(), body)
            joins.append((order, group.create_task(caller.until_done(order))))
            await asyncio.sleep(began + len(joins) / JOINS_A_SECOND - time.monotonic())
        took = time.monotonic() - began
        answers = [await task for _, task in joins]
        again = await caller.all_done(order for order, _ in joins[::10])
        await reader.has_all(await crowd.head(crowd.meetings[0]))
    told({"kills": spares.killed, "in": f"{took:.1f} s", "joins": len(joins), "streams": reader.streams})
    assert took <= WITHIN
    assert list(map(seat, again)) == list(map(seat, answers[::10]))
    seated = await hurt.postgres.fetch(
        "select meeting, participant, seat from participants where left_at is null and meeting = any($1)",
        crowd.meetings,
    )
    assert sorted(row["participant"] for row in seated) == sorted(f"j{number}" for number in range(len(joins)))
    assert max(Counter((row["meeting"], row["seat"]) for row in seated).values()) == 1
    joined = await hurt.postgres.fetch(
        "select body ->> 'participantId' as who from events where type = 'ParticipantJoined' and meeting = any($1)",
        crowd.meetings,
    )
    assert sorted(row["who"] for row in joined) == sorted(row["participant"] for row in seated)


def seat(joined: Answer) -> int:
    """Return the seat that was given."""
    return seat_of(str(joined.body["participantToken"]))


async def _kill(spares: Spares) -> None:
    for _ in range(KILLS):
        await spares.both_ready(within=WITHIN)
        await spares.kill_one()
    await spares.both_ready(within=WITHIN)
