"""What the sweep decides under a lock, and what it forgets: it is never stuck on what it met once."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from contracts.details import GetPlacement
from contracts.end_meeting import EndMeeting
from contracts.join_meeting import CloseSeats
from services.kendra.servers import Servers
from services.kendra.store import cleaning, database, forgetting, log, servers
from services.kendra.store.cleaning import Cleaning, SeatKey
from services.kendra.store.forgetting import Kept
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


async def test_old_rows_are_forgotten_however_many_there_are(
    stage: Stage, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a statement may take bounds how many rows it can delete: a backlog must not outgrow it for ever."""
    monkeypatch.setattr("services.kendra.store.forgetting.AT_ONCE", 250)
    kendra = await stage.kendra()
    await stage.create("standup")
    await stage.rows.execute(
        """
        insert into steps (command, step, hash, at)
        select gen_random_uuid(), 'old', '', now() - interval '25 hours' from generate_series(1, 1000);
        insert into placements (tenant, meeting, epoch, decision, at)
        select 'acme', 'old', 1, '{}', now() - interval '31 days' from generate_series(1, 1000);
        update event_heads set head = 1001;
        insert into events (tenant, meeting, sequence, epoch, type, body, at)
        select 'acme', 'standup', number, 1, 'Old', '{}', now() - interval '31 days' from generate_series(2, 1001) number;
        create function linger() returns trigger language plpgsql as $$ begin perform pg_sleep(0.004); return old; end $$;
        create trigger lingers before delete on steps for each row execute function linger();
        create trigger lingers before delete on placements for each row execute function linger();
        create trigger lingers before delete on events for each row execute function linger();
        """
    )
    month = 30 * 86_400.0
    assert await kendra.world.store.forgetting.everything(Kept(86_400.0, month, month, month))
    await stage.rows.execute("drop function linger cascade")
    assert await stage.rows.fetchval("select count(*) from steps where step = 'old'") == 0
    assert await stage.rows.fetchval("select count(*) from placements where meeting = 'old'") == 0
    assert await stage.rows.fetchval("select count(*) from events where type = 'Old'") == 0


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


async def test_the_rounds_of_each_second_read_nothing_that_is_over(stage: Stage) -> None:
    await stage.rows.execute(
        """
        insert into event_heads (tenant, meeting, epoch, head, ended) select 'acme', 'm' || n, 2, 2, true from generate_series(1, 20000) n;
        insert into relays select 'acme', 'm' || n, 2 from generate_series(1, 20000) n;
        insert into meetings (tenant, meeting, participants, producers, epoch, empty_since, ended_at)
        select 'acme', 'm' || n, 4, 4, 2, null, now() - interval '2 hours' from generate_series(1, 20000) n;
        insert into events (tenant, meeting, sequence, epoch, at, type, body)
        select 'acme', 'm' || n, s, 2, now() - interval '2 hours', 'Old', '{}' from generate_series(1, 20000) n, generate_series(1, 2) s;
        insert into participants (tenant, meeting, participant, instance, seat, command, closed_below, left_at)
        select 'acme', 'm' || n, 'p', 'i', 1, gen_random_uuid(), 2, now() - interval '2 hours' from generate_series(1, 20000) n;
        insert into steps (command, step, hash, at)
        select gen_random_uuid(), 'join', '', now() - interval '2 hours' from generate_series(1, 20000) n;
        """
    )
    for table in ("event_heads", "relays", "meetings", "events", "participants", "steps"):
        await stage.rows.execute(f"analyze {table}")
    rounds = {
        log.LEFT: (16.0, 1000),
        log.LIVE: (),
        cleaning.NOTE_IDLE: (30.0,),
        cleaning.NOTE_USED: (30.0,),
        cleaning.GHOSTS: (60.0, 20.0),
        cleaning.UNCONFIRMED: (5.0,),
        cleaning.EMPTY: (300.0,),
        servers.CANDIDATES: (),
        cleaning.SILENT: (600.0,),
        cleaning.ORPHANS: (),
        cleaning.NOTE_UNKNOWN: (),
        cleaning.FORGET_BOOKINGS: (86_400.0,),
        forgetting.FORGET_STEPS: (86_400.0, 500),
        forgetting.FORGET_SEATS: (86_400.0, 500),
        forgetting.FORGET_PLACEMENTS: (86_400.0, 500),
        forgetting.OLD_EVENTS: (86_400.0, 500),
        forgetting.FORGET_MEETINGS: (86_400.0, 500),
    }
    for sql, values in rounds.items():
        [plan] = json.loads(await stage.rows.fetchval(f"explain (analyze, format json) {sql}", *values))
        assert most_rows(plan["Plan"]) < 1000, sql


def most_rows(node: dict[str, Any]) -> float:
    """Return the most rows that one node of an analyzed plan looked at."""
    looked: float = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    return max([looked, *(most_rows(below) for below in node.get("Plans", []))])


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


async def test_that_a_server_drains_is_remembered_while_it_is_away_for_a_while(stage: Stage) -> None:
    kendra = await stage.kendra()
    cleaning = kendra.world.store.cleaning
    await stage.rows.execute(
        "insert into bookings (server, capacity, draining) values ('away', 8, true), ('gone', 8, false)"
    )
    assert await cleaning.forget_bookings(60.0) == 1
    await stage.rows.execute("update bookings set unknown_since = now() - interval '50 seconds'")
    assert await cleaning.forget_bookings(60.0) == 0
    await stage.server("away")
    await cleaning.forget_bookings(0.0)
    assert await stage.rows.fetchval("select unknown_since from bookings where server = 'away'") is None
    await stage.rows.execute("delete from media_servers")
    await cleaning.forget_bookings(60.0)
    await stage.rows.execute("update bookings set unknown_since = now() - interval '70 seconds'")
    assert await cleaning.forget_bookings(60.0) == 1


async def test_a_stream_has_about_as_many_events_as_is_said_and_goes_when_it_is_said(
    stage: Stage, server: FakeServer
) -> None:
    await stage.kendra(stream_length=100, stream_kept=40.0)
    await stage.create("standup")
    await stage.rows.execute(
        "select append_event('acme', 'standup', 1, 'ProducerPaused', '{}') from generate_series(1, 600)"
    )

    async def relayed() -> bool:
        stream = await stage.stream("standup")
        return stream[-1][0] == "601-0" and 100 <= len(stream) < 300

    await eventually(relayed)
    [key] = [key async for key in stage.redis.scan_iter(match=f"{stage.cache.prefix}events:*")]
    assert await stage.redis.ttl(key) == -1, "it stays while the meeting runs"
    await stage.ask(EndMeeting(), "standup")

    async def goes() -> bool:
        return 0 < await stage.redis.ttl(key) <= 40

    await eventually(goes)
