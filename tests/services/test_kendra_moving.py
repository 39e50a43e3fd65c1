"""Moving: what nobody carries any more is brought to life elsewhere, once, whoever sees it first."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import uuid4

import asyncpg
import pytest

from contracts.create_meeting import AllocateRouter
from contracts.failure import DeadlineExceeded, MediaServerUnavailable, Unavailable
from contracts.ids import Epoch, MeetingId, RouterId
from contracts.live import LostRouter, RoutersLost
from contracts.meeting import Direction
from contracts.recreate_transport import RecreateTransport
from services.kendra.flows.routers_lost import routers_lost
from services.kendra.moving import Mover, Pauses
from services.testing.session import Broker, Cache, Database
from tests.eventually import eventually
from tests.services.kendra_peers import (
    TENANT,
    FakeServer,
    Stage,
    carried,
    elapsed,
    exact,
    holder,
    killed,
    named,
    staged,
)

LEASE = 1.0
"""Seconds; kendra believes that it is over after as long."""


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker, redis: Cache) -> AsyncIterator[Stage]:
    async with staged(postgres, rabbitmq, redis) as opened:
        yield opened


async def types(stage: Stage, meeting: str = "standup") -> list[str]:
    return [type for _, type in await stage.events(meeting)]


async def writing_on(server: FakeServer, meeting: str) -> int:
    """Write as a server does that is only cut off, transaction after transaction, until it is refused; return how many landed."""
    landed = 0
    row = (server.name, server.boot)
    while True:
        try:
            async with server.rows.acquire() as on, on.transaction():
                await on.execute("select hold_allocation($1, $2, 1, $3, $4)", TENANT, meeting, *row)
                id = f"{meeting}-{landed}"
                sql = "insert into transports values ($1, $2, $3, 1, $4, $5, 'asha', '1', 1, 'send')"
                await on.execute(sql, id, TENANT, meeting, *row)
                await on.execute("select append_event($1, $2, 1, 'TransportClosed', '{}')", TENANT, meeting)
        except asyncpg.PostgresError as refused:
            if refused.sqlstate == "DK001":
                return landed
            raise
        landed += 1
        await asyncio.sleep(0.05)


async def create_all(stage: Stage, names: list[str]) -> list[RouterId]:
    """Create meetings, some at a time, each until it is answered as a client does; return their routers."""

    async def created(name: str) -> RouterId:
        command = uuid4()
        while True:
            with suppress(DeadlineExceeded, Unavailable):
                return (await stage.create(name, id=command)).router_id

    made: list[RouterId] = []
    for first in range(0, len(names), 20):
        made += await asyncio.gather(*(created(name) for name in names[first : first + 20]))
    return made


async def allocated_in(stage: Stage, epoch: int, number: int) -> bool:
    """Say whether so many meetings have their router in that epoch."""
    found = await stage.rows.fetchval("select count(*) from allocations where epoch = $1", epoch)
    assert found == number, f"{found} of {number} are in epoch {epoch}"
    return True


async def booted(stage: Stage, server: FakeServer) -> bool:
    """Say whether that boot has a router."""
    return bool(await stage.rows.fetchval("select count(*) from allocations where boot = $1", server.boot))


async def unplaced(stage: Stage, number: int) -> bool:
    """Say whether so many meetings wait for a place."""
    sql = "select count(*) = $1 from meetings where server is null and ended_at is null"
    return bool(await stage.rows.fetchval(sql, number))


async def test_a_dead_servers_meeting_runs_elsewhere_without_anybody_asking(stage: Stage) -> None:
    await stage.kendra(lease=LEASE)
    first = await stage.server("ms1")
    await stage.create("standup")
    await stage.join("standup", "asha")
    second = await stage.server("ms2")
    began = time.monotonic()
    await killed(first)
    await eventually(lambda: carried(stage, "ms2"))
    print(f"moved {elapsed(began):.2f} s after the last renewal of a lease of {LEASE} s")
    assert elapsed(began) < LEASE + 1.0
    assert await types(stage) == ["MeetingCreated", "ParticipantJoined", "MeetingMoved"]
    assert second.number_of(AllocateRouter) == 1
    assert await exact(stage)


async def test_two_kendras_move_fifty_meetings_once_each(stage: Stage) -> None:
    for _ in range(2):
        await stage.kendra(lease=LEASE)
    first = await stage.server("ms1")
    names = [f"m{number}" for number in range(50)]
    await create_all(stage, names)
    for name in ("ms2", "ms3"):
        await stage.server(name)
    writers = [asyncio.create_task(writing_on(first, name)) for name in names[::5]]
    await killed(first)
    await eventually(lambda: carried(stage, number=50), within=30)
    for written in await asyncio.gather(*writers):
        assert written, "it was fenced before it was dead"
    assert await exact(stage)
    moves = await stage.rows.fetch("select meeting, count(*) from events where type = 'MeetingMoved' group by meeting")
    assert {row["meeting"]: row["count"] for row in moves} == dict.fromkeys(names, 1)
    assert {row[0] for row in await stage.rows.fetch("select epoch from meetings")} == {2}
    assert await stage.rows.fetchval("select count(*) from transports") == 0, "rows of an older epoch"
    for name in names:
        epochs = [
            row[0]
            for row in await stage.rows.fetch("select epoch from events where meeting = $1 order by sequence", name)
        ]
        assert epochs == sorted(epochs), "an event of an older epoch came after the move"
        await stage.relayed(name)


async def test_a_burst_fits_exactly_and_joins_are_answered_meanwhile(stage: Stage) -> None:
    """200 meetings of 16 streams die with their server; there is room for 180."""
    await stage.kendra(lease=LEASE)
    first = await stage.server("ms1", capacity=200 * 16)
    await create_all(stage, [f"m{number}" for number in range(200)])
    other = await stage.server("other", capacity=4)
    await stage.create("elsewhere", participants=2, producers=2)
    assert await carried(stage, other.name)
    await stage.server("ms2", capacity=100 * 16 + 15)
    await stage.server("ms3", capacity=80 * 16 + 15)
    await killed(first)
    began = time.monotonic()
    waited: list[float] = []

    async def joining() -> None:
        for number in range(1_000):
            asked = time.monotonic()
            seat = await stage.join("elsewhere", "asha", str(number), actor=named("asha"))
            waited.append(elapsed(asked))
            assert seat.seat

    joins = asyncio.create_task(joining())
    await eventually(lambda: carried(stage, number=181), within=30)
    took = elapsed(began) - LEASE
    await eventually(lambda: unplaced(stage, 20), within=10)
    joins.cancel()
    print(f"180 of 200 moved in {took:.2f} s, the slowest of {len(waited)} joins meanwhile took {max(waited):.2f} s")
    assert await exact(stage)
    assert took < 20
    assert waited
    assert max(waited) < 4


async def test_a_newer_boot_of_the_same_name_takes_its_meetings_over_at_once(stage: Stage) -> None:
    await stage.kendra()
    first = await stage.server("ms1")
    await stage.create("standup")
    asha = holder(await stage.join("standup", "asha"))
    second = await stage.server("ms1")
    await eventually(lambda: booted(stage, second), within=2.0)
    assert await carried(stage, "ms1")
    assert first.number_of(AllocateRouter) == second.number_of(AllocateRouter) == 1
    assert (await stage.ask(RecreateTransport(direction=Direction.SEND), "standup", asha)).id
    assert await types(stage) == ["MeetingCreated", "ParticipantJoined", "MeetingMoved"]
    assert await stage.rows.fetchval("select count(*) from media_servers") == 1
    assert await exact(stage)


async def test_a_meeting_that_finds_no_room_waits_seated_and_runs_as_soon_as_there_is_some(stage: Stage) -> None:
    mover = Mover((await stage.kendra(lease=LEASE)).world, LEASE)
    first = await stage.server("ms1")
    await stage.create("standup")
    asha = holder(await stage.join("standup", "asha"))
    await stage.create("nobody-here")
    await killed(first)
    await eventually(lambda: unplaced(stage, 2))
    assert await stage.rows.fetchval("select booked from bookings where server = 'ms1'") == 0
    decisions = await stage.rows.fetchval("select count(*) from placements")
    with pytest.raises(MediaServerUnavailable):
        await stage.ask(RecreateTransport(direction=Direction.SEND), "standup", asha)
    for _ in range(3):
        await mover.look()
        await eventually(lambda: idle(mover))
    await stage.server("ms2")
    await eventually(lambda: carried(stage, "ms2"), within=LEASE + 1)
    assert (await stage.ask(RecreateTransport(direction=Direction.SEND), "standup", asha)).id
    assert await types(stage) == ["MeetingCreated", "ParticipantJoined", "MeetingUnplaced", "MeetingMoved"]
    assert await types(stage, "nobody-here") == ["MeetingCreated", "MeetingUnplaced"]
    assert await stage.rows.fetchval("select count(*) from placements") == decisions + 1, "waiting wrote decisions"
    await stage.relayed("standup")


async def test_a_seat_gets_its_time_again_when_its_meeting_moved_or_lost_its_place(stage: Stage) -> None:
    await stage.kendra(lease=LEASE, seat_unused=1.5, seat_lost=0.2)
    first = await stage.server("ms1")
    for name, most in (("moves", 4), ("stays", 8)):
        await stage.create(name, participants=most, producers=2)
        asha = holder(await stage.join(name, "asha"))
        await stage.ask(RecreateTransport(direction=Direction.SEND), name, asha)
    await stage.rows.execute("update participants set joined_at = now() - interval '1 hour', seen_at = null")
    await stage.server("ms2", capacity=8)
    await killed(first)
    for name, began in (("moves", "MeetingMoved"), ("stays", "MeetingUnplaced")):
        await eventually(lambda name=name: left(stage, name), within=10)  # type: ignore[misc]
        rows = await stage.rows.fetch("select type, at from events where meeting = $1", name)
        at = {row["type"]: row["at"] for row in rows}
        assert (at["ParticipantLeft"] - at[began]).total_seconds() >= 1.5


async def idle(mover: Mover) -> bool:
    """Say whether nothing is being moved."""
    return not mover.busy


async def left(stage: Stage, meeting: str) -> bool:
    """Say whether somebody left."""
    return "ParticipantLeft" in await types(stage, meeting)


async def test_a_meeting_whose_kendra_died_before_the_router_was_made_gets_it(stage: Stage) -> None:
    server = await stage.server("ms1")
    kendra = await stage.kendra()
    await stage.create("standup")
    await stage.join("standup", "asha")
    place = await kendra.world.store.resolving.place(stage.call("standup"))
    assert await kendra.world.store.meetings.move(place, {}, lost=place.router)
    await stage.rows.execute("delete from allocations where epoch = 1")
    await eventually(lambda: carried(stage, "ms1"))
    assert server.number_of(AllocateRouter) == 2
    assert await types(stage) == ["MeetingCreated", "ParticipantJoined", "MeetingMoved"]


async def test_a_server_that_is_not_there_to_be_asked_keeps_its_meetings_while_its_lease_holds(stage: Stage) -> None:
    await stage.kendra(lease=LEASE)
    server = await stage.server("ms1")
    await stage.server("ms2", cpu=0.9)
    await stage.create("standup")
    asha = holder(await stage.join("standup", "asha"))
    await server.stop()
    until = time.monotonic() + 2 * LEASE
    while time.monotonic() < until:
        with pytest.raises(MediaServerUnavailable):
            await stage.ask(RecreateTransport(direction=Direction.SEND), "standup", asha)
    assert await types(stage) == ["MeetingCreated", "ParticipantJoined"]


async def test_a_server_that_was_only_cut_off_can_write_nothing_once_its_meeting_moved(stage: Stage) -> None:
    await stage.kendra(lease=LEASE)
    first = await stage.server("ms1")
    await stage.create("standup")
    await stage.server("ms2")
    await first.renew(LEASE)
    await eventually(lambda: carried(stage, "ms2"))
    held = "select hold_allocation($1, 'standup', 1, $2, $3)"
    with pytest.raises(asyncpg.PostgresError, match="at epoch 2, not 1"):
        await stage.rows.execute(held, TENANT, first.name, first.boot)
    with pytest.raises(asyncpg.PostgresError, match="at epoch 2, not 1"):
        await stage.rows.execute("select append_event($1, 'standup', 1, 'ProducerCreated', '{}')", TENANT)
    renewed = "update media_servers set renewed_at = now() where server = $1 and boot = $2 returning boot"
    assert await stage.rows.fetchval(renewed, first.name, first.boot) is None, "it would not notice that it was buried"
    assert await stage.rows.fetchval("select count(*) from allocations where epoch = 1") == 0


async def test_meetings_whose_router_died_move_once_however_often_it_is_told_and_may_stay_on_their_server(
    stage: Stage,
) -> None:
    for _ in range(2):
        await stage.kendra()
    server = await stage.server("ms1")
    names = [f"m{number}" for number in range(20)]
    routers = await create_all(stage, names)
    seats = [holder(await stage.join(name, "asha")) for name in names[:2]]
    notice = RoutersLost(
        routers=[
            LostRouter(tenant=TENANT, meeting_id=MeetingId(name), epoch=Epoch(1), router_id=router)
            for name, router in zip(names, routers, strict=True)
            if name != "m1"
        ]
    )
    with suppress(Unavailable):  # told again each second
        await stage.tell(notice, "-")
    await asyncio.gather(*(routers_lost(notice, stage.call("-"), one.world) for one in stage.kendras * 2))
    await eventually(lambda: allocated_in(stage, 2, 19))
    for seat, name in zip(seats, names, strict=False):
        assert (await stage.ask(RecreateTransport(direction=Direction.SEND), name, seat)).id
    for name in names:
        moved = 0 if name == "m1" else 1
        assert (await types(stage, name)).count("MeetingMoved") == moved
    assert {row[0] for row in await stage.rows.fetch("select server from meetings")} == {server.name}
    assert await exact(stage)


async def test_routers_that_were_lost_before_their_meeting_moved_or_ended_are_nobodys_concern(stage: Stage) -> None:
    kendra = await stage.kendra()
    await stage.server("ms1")
    first = await stage.create("standup")
    await stage.server("ms1")
    await eventually(lambda: allocated_in(stage, 2, 1))
    lost = LostRouter(tenant=TENANT, meeting_id=MeetingId("standup"), epoch=Epoch(1), router_id=first.router_id)
    never = lost.model_copy(update={"meeting_id": MeetingId("never")})
    other = lost.model_copy(update={"epoch": Epoch(2)})
    await routers_lost(RoutersLost(routers=[never, lost, other]), stage.call("-"), kendra.world)
    assert await types(stage) == ["MeetingCreated", "MeetingMoved"]


async def test_a_kendra_that_did_not_watch_long_enough_moves_nothing(stage: Stage) -> None:
    kendra = await stage.kendra(lease=3.0)
    first = await stage.server("ms1")
    await stage.server("ms2", cpu=0.9)
    await stage.create("standup")
    began = time.monotonic()
    later = await stage.kendra(lease=3.0)
    await kendra.stop()
    await first.renew(3.0)
    await eventually(lambda: carried(stage, "ms2"), within=8)
    assert elapsed(began) > 2.9, "it believed rows that it had watched for less than a lease"
    assert later.world.servers.read_at is not None


async def test_a_broker_that_is_away_is_nobodys_death_though_no_server_renews_its_lease_then(stage: Stage) -> None:
    servers = (await stage.kendra(lease=LEASE)).world.servers
    first = await stage.server("ms1")
    await stage.create("standup")
    await stage.server("ms2")
    servers.hears = lambda: False
    await killed(first)

    async def over_for_long() -> bool:
        sql = "select renewed_at + make_interval(secs => $1) < now() from media_servers where server = 'ms1'"
        return bool(await stage.rows.fetchval(sql, 3 * LEASE))

    await eventually(over_for_long)
    assert await types(stage) == ["MeetingCreated"]
    servers.hears = lambda: True
    back = time.monotonic()
    await eventually(lambda: carried(stage, "ms2"))
    assert elapsed(back) > LEASE - 0.3, "the servers had no time to renew after the broker came back"


def test_a_meeting_that_no_server_takes_is_let_be_longer_and_longer() -> None:
    pauses, key, now, tried = Pauses(), (TENANT, MeetingId("standup")), 0.0, []
    while now < 40:
        if pauses.over(key, now):
            tried.append(now)
            pauses.failed(key, now)
        pauses.tidy(now)
        now += 0.5
    assert tried == [0.0, 1.0, 3.0, 7.0, 15.0, 25.0, 35.0]
    pauses.forget(key)
    assert pauses.over(key, now)
