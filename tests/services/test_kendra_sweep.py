"""The sweep: seats and meetings that nobody uses end by themselves, once, and rows past their time go."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from contracts.end_meeting import CloseRouter, EndMeeting
from contracts.failure import StaleInstance
from contracts.join_meeting import CloseSeats
from contracts.producers import ListProducers
from services.kendra.meeting import Meeting, event, fold, from_json
from services.kendra.place import Lease, Place
from services.kendra.servers import Watch
from services.kendra.store.forgetting import Kept
from services.testing.session import Broker, Cache, Database
from tests.eventually import eventually
from tests.services.kendra_peers import FakeServer, Stage, holder, staged

SHORT = {"seat_unused": 1.0, "seat_lost": 0.5, "meeting_empty": 0.5}


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker, redis: Cache) -> AsyncIterator[Stage]:
    async with staged(postgres, rabbitmq, redis) as opened:
        yield opened


@pytest.fixture
async def server(stage: Stage) -> FakeServer:
    return await stage.server("ms1")


async def types(stage: Stage) -> list[str]:
    return [type for _, type in await stage.events("standup")]


async def test_a_seat_that_never_had_a_transport_is_given_up_and_one_that_has_one_is_not(
    stage: Stage, server: FakeServer
) -> None:
    await stage.kendra(**SHORT | {"meeting_empty": 60.0})
    await stage.create("standup")
    ghost, asha = holder(await stage.join("standup", "ghost")), holder(await stage.join("standup", "asha"))
    await stage.transport("standup", asha)

    async def gone() -> bool:
        return (await types(stage))[-1] == "ParticipantLeft"

    await eventually(gone)
    with pytest.raises(StaleInstance):
        await stage.ask(ListProducers(), "standup", ghost)
    await stage.ask(ListProducers(), "standup", asha)
    body = await stage.rows.fetchval("select body from events where type = 'ParticipantLeft'")
    assert body == '{"reason": "gone", "participantId": "ghost"}'
    await eventually(lambda: _true(server.number_of(CloseSeats) == 1))


async def test_a_seat_whose_last_transport_closed_is_given_up_after_a_while(stage: Stage, server: FakeServer) -> None:
    await stage.kendra(**SHORT)
    await stage.create("standup")
    asha = holder(await stage.join("standup", "asha"))
    await stage.transport("standup", asha)
    await stage.rows.execute("delete from transports")
    await eventually(lambda: _ended(stage), within=8.0)
    assert await types(stage) == ["MeetingCreated", "ParticipantJoined", "ParticipantLeft", "MeetingEnded"]


async def test_a_meeting_that_stays_empty_ends_once_under_two_kendras_and_its_router_closes(
    stage: Stage, server: FakeServer
) -> None:
    await stage.kendra(**SHORT)
    await stage.kendra(**SHORT)
    await stage.create("standup")
    await eventually(lambda: _ended(stage))
    await eventually(lambda: _true(server.number_of(CloseRouter) == 1))
    assert await types(stage) == ["MeetingCreated", "MeetingEnded"]
    assert await stage.rows.fetchval("select sum(booked) from bookings") == 0
    await stage.relayed("standup")


async def test_rows_past_their_time_go(stage: Stage, server: FakeServer) -> None:
    first = await stage.kendra()
    await stage.create("standup")
    await stage.relayed("standup")
    await first.world.store.forgetting.everything(Kept(0.0, 0.0, 0.0, 0.0))
    for table in ("steps", "placements", "events"):
        assert await stage.rows.fetchval(f"select count(*) from {table}") == 0  # noqa: S608
    assert await stage.rows.fetchval("select base from event_heads") == 1
    kept = from_json(await stage.rows.fetchval("select state from log_bases"))
    assert (kept.sequence, kept.epoch, kept.server, kept.ended) == (1, 1, "ms1", False)


async def test_an_ended_meeting_is_forgotten_and_begins_at_one_under_a_new_incarnation(
    stage: Stage, server: FakeServer
) -> None:
    kendra = await stage.kendra()
    await stage.create("running")
    await stage.create("standup")
    await stage.join("standup", "asha")
    await stage.relayed("standup")
    before = await stage.rows.fetchval("select incarnation from meetings where meeting = 'standup'")
    await stage.ask(EndMeeting(), "standup")
    await kendra.world.store.forgetting.everything(Kept(86_400.0, 86_400.0, 86_400.0, 86_400.0))
    assert await stage.rows.fetchval("select count(*) from meetings") == 2
    await kendra.world.events.keep_hints()
    await kendra.world.store.forgetting.everything(Kept(0.0, 0.0, 0.0, 0.0))
    for table in ("meetings", "event_heads", "log_bases"):
        assert [row[0] for row in await stage.rows.fetch(f"select meeting from {table}")] == ["running"]  # noqa: S608
    for table in ("participants", "relays", "events", "steps", "placements"):
        sql = f"select count(*) from {table}" + ("" if table == "steps" else " where meeting = 'standup'")  # noqa: S608
        assert await stage.rows.fetchval(sql) == 0, table
    again = await stage.create("standup")
    assert (again.epoch, again.repeated) == (1, False)
    assert (await stage.join("standup", "asha")).seat == 2
    assert await stage.rows.fetchval("select incarnation from meetings where meeting = 'standup'") != before
    await stage.relayed("standup")


async def test_creates_and_forgetting_at_once_book_each_meeting_once(stage: Stage, server: FakeServer) -> None:
    kendra = await stage.kendra()
    await stage.create("standup")

    async def forgetting() -> None:
        for _ in range(20):
            await kendra.world.store.forgetting.everything(Kept(86_400.0, 86_400.0, 86_400.0, 0.0))

    for _ in range(5):
        await stage.ask(EndMeeting(), "standup")
        answers = await asyncio.gather(forgetting(), *(stage.create("standup") for _ in range(10)))
        assert len({(one.epoch, one.router_id) for one in answers[1:]}) == 1
        assert await stage.rows.fetchval("select sum(booked) from bookings") == 16


async def test_the_log_tells_the_same_as_the_rows(stage: Stage, server: FakeServer) -> None:
    kendra = await stage.kendra()
    await stage.create("standup")
    seats = {}
    for name in ("asha", "ravi", "meera"):
        seats[name] = (await stage.join("standup", name)).seat
    await stage.server("ms1")
    await asyncio.gather(*(stage.create("standup") for _ in range(5)))
    rows = await stage.rows.fetch("select sequence, type, body from events order by sequence")
    folded = fold(Meeting(), [(row["sequence"], event(row["type"], row["body"])) for row in rows])
    place = await kendra.world.store.resolving.place(stage.call("standup"))
    assert (folded.seats, folded.epoch, folded.server) == (seats, place.epoch, place.server)


def test_a_lease_is_believed_to_be_over_only_after_an_unbroken_watch() -> None:
    watch = Watch(needed=5.0)
    for second in range(5):
        watch.read(second, second + 0.01)
        assert not watch.sure(second + 0.01)
    watch.read(5.0, 5.01)
    assert watch.sure(5.02)
    watch.read(6.0, 7.5)
    assert not watch.sure(7.5), "a slow read breaks it"
    watch.read(8.0, 8.01, failed=True)
    assert not watch.sure(8.01)


def test_a_watch_that_slept_begins_anew() -> None:
    watch = Watch(needed=5.0)
    for second in range(10):
        watch.read(second, second + 0.01)
    assert watch.sure(9.5)
    assert not watch.sure(20.0)
    watch.read(20.0, 20.01)
    assert not watch.sure(20.01)


def test_a_place_says_what_it_books() -> None:
    place = Place("t", "m", 1, 16, 32, None, None, None, Lease.GONE)  # type: ignore[arg-type]
    assert place.streams == 512


async def _true(value: bool) -> bool:
    return value


async def _ended(stage: Stage) -> bool:
    return (await types(stage))[-1] == "MeetingEnded"
