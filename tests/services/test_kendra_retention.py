"""Retention: what is past its time goes, however much there is, and looking for it reads little else."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.end_meeting import EndMeeting
from services.kendra.store import cleaning, forgetting, log, servers
from services.kendra.store.forgetting import Kept
from services.testing.session import Broker, Cache, Database
from tests.eventually import eventually
from tests.services.kendra_peers import FakeServer, Stage, staged


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker, redis: Cache) -> AsyncIterator[Stage]:
    async with staged(postgres, rabbitmq, redis) as opened:
        yield opened


@pytest.fixture
async def server(stage: Stage) -> FakeServer:
    return await stage.server("ms1")


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
