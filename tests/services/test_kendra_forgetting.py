"""What the sweep decides under a lock, and what it forgets: it is never stuck on what it met once."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from contracts.details import GetPlacement
from contracts.join_meeting import CloseSeats
from services.kendra.servers import Servers
from services.kendra.store import database
from services.kendra.store.cleaning import Cleaning, SeatKey
from services.kendra.store.servers import ServerRows
from services.testing.session import Broker, Cache, Database
from tests.eventually import eventually
from tests.services.kendra_peers import TENANT, FakeServer, Stage, holder, staged


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker, redis: Cache) -> AsyncIterator[Stage]:
    async with staged(postgres, rabbitmq, redis) as opened:
        yield opened


@pytest.fixture
async def server(stage: Stage) -> FakeServer:
    return await stage.server("ms1")


async def test_a_seat_that_got_a_transport_just_in_time_can_be_given_up_later(stage: Stage, server: FakeServer) -> None:
    kendra = await stage.kendra()
    await stage.create("standup")
    asha = holder(await stage.join("standup", "asha"))
    assert asha.participant is not None
    assert asha.seat is not None
    seat = (TENANT, stage.call("standup").meeting, asha.participant, asha.seat)
    await stage.transport("standup", asha)
    assert not await kendra.world.store.seats.clear(*seat, 0.0)
    await stage.rows.execute("delete from transports")
    assert await kendra.world.store.seats.clear(*seat, 0.0)


async def test_the_relay_does_not_wait_for_a_sweep_that_takes_long(
    stage: Stage, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeping = asyncio.Event()

    async def slow(*_: object) -> list[SeatKey]:
        sweeping.set()
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(Cleaning, "ghosts", slow)
    await stage.kendra()
    await stage.create("standup")
    await asyncio.wait_for(sweeping.wait(), 5.0)
    await stage.rows.execute("select append_event('acme', 'standup', 1, 'ProducerPaused', '{}')")
    await stage.relayed("standup")


async def test_a_lock_that_could_not_be_given_back_goes_with_its_connection(postgres: Database) -> None:
    rows = await database.connect(postgres.of["kendra"], 2)

    async def cut_off() -> None:
        async with rows.alone(4711, 10.0) as alone:
            assert alone
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(cut_off())

    async def free() -> bool:
        other = await database.connect(postgres.of["kendra"], 2)
        try:
            async with other.alone(4711, 10.0) as alone:
                return alone
        finally:
            await other.close()

    await eventually(free)
    async with rows.alone(4711, 10.0) as alone:
        assert alone
    await rows.close()


async def test_the_watch_of_leases_goes_on_after_what_nobody_expected() -> None:
    class Rows:
        broken = True

        async def sync(self) -> None:
            if self.broken:
                self.broken = False
                raise RuntimeError("the database was not migrated yet")

    watched = Servers(cast(ServerRows, Rows()), 5.0)
    watching = asyncio.create_task(watched.watch())
    await eventually(lambda: asyncio.sleep(0, watched.read_at is not None))
    watching.cancel()


async def test_a_placement_is_explained_by_its_newest_decisions_only(stage: Stage, server: FakeServer) -> None:
    await stage.kendra()
    await stage.create("standup")
    await stage.rows.execute(
        "insert into placements (tenant, meeting, epoch, decision) select tenant, meeting, n, decision || jsonb_build_object('epoch', n) "
        "from placements, generate_series(2, 500) n"
    )
    explained = await stage.ask(GetPlacement(), "standup")
    assert [one.epoch for one in explained.decisions] == list(range(401, 501))


async def test_who_sat_on_a_server_that_never_comes_back_is_given_up_and_the_booking_with_it(stage: Stage) -> None:
    await stage.kendra(seat_unused=1.0, seat_lost=0.5, meeting_empty=0.5, server_silent=1.0)
    gone = await stage.server("gone", capacity=64)
    await stage.server("small", capacity=8)
    await stage.create("standup")
    asha = holder(await stage.join("standup", "asha"))
    await stage.transport("standup", asha)
    assert await stage.rows.fetchval("select server from meetings") == "gone"
    await gone.renew(ago=601.0)

    async def over() -> bool:
        return bool(await stage.rows.fetchval("select ended_at is not null from meetings"))

    await eventually(over, within=15.0)
    assert [type for _, type in await stage.events("standup")][-2:] == ["ParticipantLeft", "MeetingEnded"]
    assert [row["server"] for row in await stage.rows.fetch("select server from media_servers")] == ["small"]

    async def forgotten() -> bool:
        return [row["server"] for row in await stage.rows.fetch("select server from bookings")] == ["small"]

    await eventually(forgotten)


async def test_nobody_is_buried_before_the_rows_could_be_read_for_a_minute(stage: Stage) -> None:
    """Postgres may have been away for longer than any lease: whoever runs must have had the time to renew."""
    now = 100.0
    watched = Servers((await stage.kendra()).world.store.servers, 5.0, lambda: now)
    for second in range(int(now)):
        watched._long_watch.read(second, second + 0.01, failed=second < 50)
    assert not watched.settled()


async def test_closings_on_a_silent_server_do_not_stand_before_those_on_another(stage: Stage) -> None:
    silent, server = await stage.server("silent", capacity=10_000), await stage.server("ms1")
    await stage.rows.execute(
        """insert into meetings (tenant, meeting, participants, producers, server, boot, epoch, empty_since)
           select 'acme', 'a' || n, 1, 1, 'silent', $1, 1, null from generate_series(1, 300) n""",
        silent.boot,
    )
    await stage.rows.execute(
        """insert into participants (tenant, meeting, participant, instance, seat, command, closed_below, joined_at, left_at)
           select 'acme', 'a' || n, 'p', 'i', 2, gen_random_uuid(), 2, now() - interval '1 minute', now() - interval '1 minute'
           from generate_series(1, 300) n"""
    )
    await silent.renew(ago=60.0)
    await stage.kendra()
    await stage.create("standup")
    await stage.join("standup", "asha")
    await stage.rows.execute(
        "update participants set closed_below = 0, joined_at = now() - interval '1 minute' where meeting = 'standup'"
    )

    async def closed() -> bool:
        return server.number_of(CloseSeats) > 0

    await eventually(closed)


async def test_what_a_buried_boot_wrote_before_it_knew_goes_and_what_others_wrote_stays(stage: Stage) -> None:
    kendra, late, server = await stage.kendra(), await stage.server("late"), await stage.server("ms1")
    sql = "insert into allocations values ('acme', $1, 1, $2, $3, 'w', 'router-' || $1)"
    await stage.rows.execute(sql, "left", late.name, late.boot)
    await stage.rows.execute(sql, "runs", server.name, server.boot)
    await stage.rows.execute("delete from media_servers where server = 'late'")
    await kendra.world.store.cleaning.bury_orphans(600.0)
    assert [row["meeting"] for row in await stage.rows.fetch("select meeting from allocations")] == ["runs"]
