"""Draining: a server is emptied one meeting after the other, in time, and nobody loses a place by it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from contracts.create_meeting import AllocateRouter
from contracts.end_meeting import EndMeeting
from contracts.events import MeetingMovedEvent
from contracts.failure import MediaServerNotFound, MediaServerUnavailable
from contracts.ids import MediaServerId, ParticipantId
from contracts.leave_meeting import KickParticipant
from contracts.servers import DrainServer, ListServers, MediaServerView, UndrainServer
from services.kendra.draining import EVERY, SHORTEST_KEEP, keep, turns
from services.kendra.store.draining import Progress
from services.testing.session import Broker, Cache, Database
from tests.eventually import eventually
from tests.services.kendra_peers import OPERATOR, Stage, carried, exact, killed, staged

KEEP = 2.0
FIRST = MediaServerId("ms1")


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker, redis: Cache) -> AsyncIterator[Stage]:
    async with staged(postgres, rabbitmq, redis) as opened:
        yield opened


async def drain(stage: Stage, server: str, within: float = 60.0) -> None:
    order = DrainServer(media_server_id=MediaServerId(server), deadline_seconds=within)
    await stage.ask(order, "-", OPERATOR)


async def listed(stage: Stage, server: str) -> MediaServerView:
    every = (await stage.ask(ListServers(), "-", OPERATOR)).servers
    return next(one for one in every if one.media_server_id == server)


async def meetings_with_somebody(stage: Stage, number: int) -> None:
    for one in range(number):
        await stage.create(f"m{one}")
        await stage.join(f"m{one}", "asha")


async def moved(stage: Stage) -> list[str]:
    """Return who was moved, in the order in which it happened."""
    rows = await stage.rows.fetch("select meeting from events where type = 'MeetingMoved' order by at")
    return [row["meeting"] for row in rows]


async def close(stage: Stage, meeting: str) -> None:
    """Do what a media server does when the last transport of a router that it keeps is gone."""
    await stage.rows.execute(
        "delete from allocations a using meetings m where a.meeting = $1 and a.meeting = m.meeting and a.epoch = m.kept_epoch",
        meeting,
    )


async def same(stage: Stage, number: int) -> bool:
    return len(await moved(stage)) == number


async def test_meetings_leave_one_after_the_other_and_the_next_goes_when_the_last_one_is_gone(stage: Stage) -> None:
    await stage.kendra(keep_router=KEEP)
    first = await stage.server(FIRST)
    await meetings_with_somebody(stage, 3)
    second = await stage.server("ms2")
    await drain(stage, FIRST)
    await eventually(lambda: same(stage, 2), within=KEEP + 3)
    await close(stage, "m1")
    await eventually(lambda: same(stage, 3))
    times = [
        row["at"] for row in await stage.rows.fetch("select at from events where type = 'MeetingMoved' order by at")
    ]
    assert await moved(stage) == ["m0", "m1", "m2"]
    assert (times[1] - times[0]).total_seconds() >= KEEP, "m1 went before m0's old router was gone"
    assert (times[2] - times[1]).total_seconds() < KEEP, "m2 waited for a router that was gone"
    kept = await stage.rows.fetchrow("select *, keep_until - placed_at as kept from meetings where meeting = 'm2'")
    assert (kept["kept_server"], kept["kept_boot"], kept["kept_epoch"]) == (FIRST, first.boot, 1)
    assert abs(kept["kept"].total_seconds() - KEEP) < 0.1
    told = await stage.rows.fetchval("select body from events where meeting = 'm2' and type = 'MeetingMoved'")
    event = MeetingMovedEvent.model_validate_json(told)
    assert (event.media_server_id, event.keep_until) == ("ms2", kept["keep_until"])
    assert second.number_of(AllocateRouter) == 3
    assert (await listed(stage, FIRST)).meetings == 0
    await eventually(lambda: gone(stage, "m0", "m1", "m2"), within=KEEP + 3)


async def test_how_far_a_drain_is_can_be_seen(stage: Stage) -> None:
    await stage.kendra(keep_router=60)
    await stage.server(FIRST)
    await meetings_with_somebody(stage, 2)
    await stage.server("ms2")
    before = await listed(stage, FIRST)
    assert (before.draining, before.drained_by, before.meetings, before.leaving) == (False, None, 2, 0)
    await drain(stage, FIRST, 600)

    async def one_left() -> bool:
        now = await listed(stage, FIRST)
        return (now.draining, now.meetings, now.leaving) == (True, 1, 1)

    await eventually(one_left)
    by = (await listed(stage, FIRST)).drained_by
    assert by is not None
    assert 590 < (by - datetime.now(UTC)).total_seconds() < 600


async def test_at_the_deadline_what_is_left_goes_at_once(stage: Stage) -> None:
    await stage.kendra()
    await stage.server(FIRST)
    await meetings_with_somebody(stage, 6)
    await stage.server("ms2")
    await drain(stage, FIRST, 0)
    await eventually(lambda: same(stage, 6))
    spent = await stage.rows.fetchval("select max(at) - min(at) from events where type = 'MeetingMoved'")
    assert spent.total_seconds() < 1.0
    kept = await stage.rows.fetchval("select max(keep_until - placed_at) from meetings")
    assert abs(kept.total_seconds() - SHORTEST_KEEP) < 0.1
    assert await exact(stage)


async def test_a_meeting_that_nobody_sits_in_goes_at_once_and_leaves_nothing_behind(stage: Stage) -> None:
    await stage.kendra(keep_router=60)
    await stage.server(FIRST)
    for number in range(4):
        await stage.create(f"m{number}")
    await stage.server("ms2")
    await drain(stage, FIRST, 600)
    await eventually(lambda: same(stage, 4))
    assert await stage.rows.fetchval("select count(*) from meetings where kept_server is not null") == 0
    assert await exact(stage)


async def test_two_kendras_drain_two_servers_at_once_and_move_each_meeting_once(stage: Stage) -> None:
    for _ in range(2):
        await stage.kendra(keep_router=KEEP)
    for name in (FIRST, "ms2"):
        await stage.server(name)
    await meetings_with_somebody(stage, 12)
    await stage.server("ms3")
    for name in (FIRST, "ms2"):
        await drain(stage, name, SHORTEST_KEEP + 2)
    await eventually(lambda: same(stage, 12), within=10)
    assert sorted(await moved(stage)) == sorted(f"m{one}" for one in range(12))
    assert {row["server"] for row in await stage.rows.fetch("select server from meetings")} == {"ms3"}
    assert await exact(stage)


async def test_what_nobody_else_has_room_for_stays_and_goes_when_somebody_has(stage: Stage) -> None:
    await stage.kendra(keep_router=KEEP)
    server = await stage.server(FIRST)
    await meetings_with_somebody(stage, 2)
    await drain(stage, FIRST, 0)
    await stage.server("ms2", capacity=16)
    await eventually(lambda: same(stage, 1))
    (left,) = {"m0", "m1"} - set(await moved(stage))
    assert (await stage.join(left, "ravi")).router_id == f"router-{left}-1", "it runs on as if nothing was"
    assert [type for _, type in await stage.events(left)] == [
        "MeetingCreated",
        "ParticipantJoined",
        "ParticipantJoined",
    ]
    assert server.number_of(AllocateRouter) == 2
    await stage.server("ms3", capacity=16)
    await eventually(lambda: same(stage, 2))
    assert await exact(stage)


async def test_a_drain_that_is_cancelled_moves_nothing_more_and_the_server_gets_meetings_again(stage: Stage) -> None:
    await stage.kendra(keep_router=60)
    await stage.server(FIRST)
    await meetings_with_somebody(stage, 3)
    await stage.server("ms2", cpu=0.9)
    await drain(stage, FIRST, 600)
    await eventually(lambda: same(stage, 1))
    await stage.ask(UndrainServer(media_server_id=FIRST), "-", OPERATOR)
    await close(stage, "m0")
    after = await listed(stage, FIRST)
    assert (after.draining, after.drained_by, after.meetings, after.leaving) == (False, None, 2, 0)
    assert (await stage.create("another")).media_server_id == FIRST
    await eventually(lambda: gone(stage, "m0"))
    assert await moved(stage) == ["m0"]


async def test_a_drained_server_that_dies_loses_its_meetings_at_once(stage: Stage) -> None:
    await stage.kendra(lease=1.0, keep_router=60)
    first = await stage.server(FIRST)
    await meetings_with_somebody(stage, 3)
    await stage.server("ms2")
    await drain(stage, FIRST, 600)
    await eventually(lambda: same(stage, 1))
    await killed(first)
    await eventually(lambda: same(stage, 3))
    await eventually(lambda: gone(stage, "m0"))
    told = await stage.rows.fetch("select body from events where type = 'MeetingMoved' order by at")
    keeps = [MeetingMovedEvent.model_validate_json(row["body"]).keep_until for row in told]
    assert [one is not None for one in keeps] == [True, False, False], "a dead server's router was promised"
    assert await exact(stage)


async def test_when_the_new_server_refuses_the_old_router_is_kept_as_it_was_told(stage: Stage) -> None:
    await stage.kendra(keep_router=60)
    first = await stage.server(FIRST)
    await meetings_with_somebody(stage, 1)
    second = await stage.server("ms2")
    await stage.server("ms3", cpu=0.9)
    second.refuse[AllocateRouter] = MediaServerUnavailable("no")
    await drain(stage, FIRST, 600)
    await eventually(lambda: same(stage, 2))
    told = await stage.rows.fetch("select body from events where type = 'MeetingMoved' order by at")
    events = [MeetingMovedEvent.model_validate_json(row["body"]) for row in told]
    assert [one.media_server_id for one in events] == ["ms2", "ms3"]
    assert events[0].keep_until == events[1].keep_until is not None
    kept = await stage.rows.fetchrow("select * from meetings")
    assert (kept["kept_server"], kept["kept_boot"], kept["kept_epoch"]) == (FIRST, first.boot, 1)


async def test_when_nobody_takes_what_was_moved_the_old_router_is_kept_until_somebody_does(stage: Stage) -> None:
    await stage.kendra(keep_router=60)
    first = await stage.server(FIRST)
    await meetings_with_somebody(stage, 1)
    second = await stage.server("ms2")
    second.refuse[AllocateRouter] = MediaServerUnavailable("no")
    await drain(stage, FIRST, 600)

    async def waits() -> bool:
        return (await stage.events("m0"))[-1][1] == "MeetingUnplaced"

    await eventually(waits)
    second.refuse.clear()
    await eventually(lambda: carried(stage, "ms2"))
    kept = await stage.rows.fetchrow("select * from meetings")
    assert (kept["kept_server"], kept["kept_boot"], kept["kept_epoch"]) == (FIRST, first.boot, 1)
    assert await exact(stage)


@pytest.mark.parametrize("order", [EndMeeting(), KickParticipant(participant_id=ParticipantId("asha"))])
async def test_an_old_router_is_kept_neither_for_a_meeting_that_ended_nor_for_who_was_kicked(
    stage: Stage, order: EndMeeting | KickParticipant
) -> None:
    await stage.kendra(keep_router=60)
    await stage.server(FIRST)
    await meetings_with_somebody(stage, 1)
    await stage.server("ms2")
    await drain(stage, FIRST, 600)
    await eventually(lambda: same(stage, 1))
    assert not await gone(stage, "m0")
    await stage.ask(order, "m0")
    assert await gone(stage, "m0")


async def test_a_server_that_there_is_not_cannot_be_drained(stage: Stage) -> None:
    await stage.kendra()
    for order in (DrainServer, UndrainServer):
        with pytest.raises(MediaServerNotFound):
            await stage.ask(order(media_server_id=MediaServerId("nowhere")), "-", OPERATOR)


@pytest.mark.parametrize("deadline", [5.0, 20.0, 60.0, 3600.0])
@pytest.mark.parametrize("number", [1, 2, 7, 150])
def test_all_have_begun_by_the_deadline_however_long_their_clients_take(number: int, deadline: float) -> None:
    now, begun, until = 0.0, 0, list[float]()
    last: float | None = None
    most = 0
    while begun < number:
        leaving = sum(end > now for end in until)
        since = None if last is None or not leaving else now - last
        progress = Progress(FIRST, deadline - now, number - begun, leaving, since)
        turn = min(turns(progress), number - begun)
        if turn:
            until += [now + keep(progress, 20.0)] * turn
            begun, last = begun + turn, now
            most = max(most, turn)
        now += EVERY
    assert now <= deadline - SHORTEST_KEEP + 2 * EVERY
    assert max(until) <= deadline + EVERY
    if deadline / number > 20 + EVERY:
        assert most == 1


def test_a_drain_whose_time_is_over_begins_with_all() -> None:
    assert turns(Progress(FIRST, -1.0, 40, 3, 0.1)) == 40
    assert keep(Progress(FIRST, -1.0, 40, 3, 0.1), 20.0) == SHORTEST_KEEP
    assert turns(Progress(FIRST, 60.0, 0, 0, None)) == 0


async def gone(stage: Stage, *meetings: str) -> bool:
    """Say whether no router is kept for these."""
    sql = "select count(*) = 0 from meetings where meeting = any ($1) and kept_server is not null"
    return bool(await stage.rows.fetchval(sql, list(meetings)))
