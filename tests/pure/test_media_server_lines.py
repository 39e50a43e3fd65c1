"""A meeting's line: one turn at a time, in order, bounded."""

import asyncio
from functools import partial

import pytest

from contracts.failure import Busy
from contracts.ids import MeetingId, ParticipantId, Seat, TenantId
from services.media_server.lines import MOST_OF_MEETING, MOST_OF_SEAT, Lines

STANDUP = (TenantId("acme"), MeetingId("standup"))
LUNCH = (TenantId("acme"), MeetingId("lunch"))
ALICE = (ParticipantId("alice"), Seat(1))


async def done() -> str:
    return "done"


async def test_turns_run_one_at_a_time_in_the_order_of_their_arrival() -> None:
    lines, seen, running = Lines(), list[int](), 0

    async def turn(number: int) -> None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        seen.append(number)
        running -= 1

    await asyncio.gather(*(lines.put(STANDUP, partial(turn, number)) for number in range(50)))
    assert seen == list(range(50))
    assert lines.idle(STANDUP)


async def test_meetings_do_not_wait_for_each_other() -> None:
    lines, gate = Lines(), asyncio.Event()
    waiting = lines.put(STANDUP, gate.wait)
    assert await lines.put(LUNCH, done) == "done"
    gate.set()
    await waiting


async def test_a_turn_that_fails_fails_its_own_asker_only() -> None:
    lines = Lines()

    async def fail() -> None:
        raise ZeroDivisionError

    failing, fine = lines.put(STANDUP, fail), lines.put(STANDUP, done)
    assert await fine == "done"
    with pytest.raises(ZeroDivisionError):
        await failing


async def test_an_asker_who_gives_up_stops_nothing() -> None:
    lines, gate = Lines(), asyncio.Event()
    asker = asyncio.ensure_future(asyncio.shield(lines.put(STANDUP, gate.wait)))
    await asyncio.sleep(0)
    asker.cancel()
    after = lines.put(STANDUP, done)
    gate.set()
    assert await after == "done"


async def test_a_seat_may_have_so_many_waiting_and_other_seats_still_find_room() -> None:
    lines, gate = Lines(), asyncio.Event()
    running = lines.put(STANDUP, gate.wait, seat=ALICE)
    waiting = [lines.put(STANDUP, done, seat=ALICE) for _ in range(MOST_OF_SEAT)]
    with pytest.raises(Busy):
        lines.put(STANDUP, done, seat=ALICE)
    bobs = lines.put(STANDUP, done, seat=(ParticipantId("bob"), Seat(2)))
    gate.set()
    await asyncio.gather(running, *waiting, bobs)
    await lines.put(STANDUP, done, seat=ALICE)


async def test_a_meeting_may_have_so_many_waiting_and_the_servers_own_work_still_finds_room() -> None:
    lines, gate = Lines(), asyncio.Event()
    running = lines.put(STANDUP, gate.wait)
    waiting = [lines.put(STANDUP, done) for _ in range(MOST_OF_MEETING)]
    with pytest.raises(Busy):
        lines.put(STANDUP, done)
    own = lines.put(STANDUP, done, always=True)
    gate.set()
    await asyncio.gather(running, *waiting, own)


async def test_it_can_be_awaited_that_nothing_runs_any_more() -> None:
    lines, gate = Lines(), asyncio.Event()
    running = lines.put(STANDUP, gate.wait)
    drained = asyncio.create_task(lines.drained())
    await asyncio.sleep(0)
    assert not drained.done()
    gate.set()
    await asyncio.wait_for(drained, 1)
    assert running.done()
