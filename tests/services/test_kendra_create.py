"""Create meeting: one place, booked once, whatever fails or repeats on the way."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from contracts.create_meeting import AllocateRouter
from contracts.details import GetPlacement
from contracts.end_meeting import CloseRouter, EndMeeting
from contracts.failure import (
    DeadlineExceeded,
    Forbidden,
    IdempotencyKeyReused,
    MediaServerUnavailable,
    MeetingExists,
    MeetingNotFound,
    NoCapacity,
)
from contracts.servers import DrainServer, ListServers, UndrainServer
from services.testing.session import Broker, Cache, Database
from tests.eventually import eventually
from tests.services.kendra_peers import ADMIN, INVITED, OPERATOR, Stage, elapsed, staged


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker, redis: Cache) -> AsyncIterator[Stage]:
    async with staged(postgres, rabbitmq, redis) as opened:
        await opened.kendra()
        yield opened


async def booked(stage: Stage) -> dict[str, int]:
    return {row["server"]: row["booked"] for row in await stage.rows.fetch("select * from bookings")}


async def test_a_meeting_is_wanted_booked_allocated_and_told_of(stage: Stage) -> None:
    server = await stage.server("ms1")
    created = await stage.create("standup", participants=3, producers=5)
    assert (created.media_server_id, created.epoch, created.repeated) == ("ms1", 1, False)
    assert created.router_id == "router-standup-1"
    assert await booked(stage) == {"ms1": 15}
    assert await stage.events("standup") == [(1, "MeetingCreated")]
    assert server.number_of(AllocateRouter) == 1
    await stage.relayed("standup")


async def test_the_same_settings_are_the_same_meeting_and_others_are_refused(stage: Stage) -> None:
    await stage.server("ms1")
    first = await stage.create("standup")
    second = await stage.create("standup")
    assert second == first.model_copy(update={"repeated": True})
    with pytest.raises(MeetingExists):
        await stage.create("standup", participants=5)
    assert await booked(stage) == {"ms1": 16}


async def test_a_repeated_command_answers_as_the_first_and_another_body_is_refused(stage: Stage) -> None:
    await stage.server("ms1")
    command = uuid4()
    assert await stage.create("standup", id=command) == await stage.create("standup", id=command)
    with pytest.raises(IdempotencyKeyReused):
        await stage.create("standup", id=command, hash="1" * 64)


async def test_fifty_creates_at_once_fit_and_land_evenly_on_unequal_servers_with_an_old_load_report(
    stage: Stage,
) -> None:
    capacities = {"ms1": 700, "ms2": 2100}
    for name, capacity in capacities.items():
        await stage.server(name, capacity, cpu=0.2, measured_ago=3.0)
    answers = await asyncio.gather(*(stage.create(f"m{n}") for n in range(50)))
    found = await booked(stage)
    assert sum(found.values()) == 50 * 16
    shares = [found[name] / capacities[name] for name in capacities]
    assert max(shares) <= 1.1 * min(shares)
    assert {answer.epoch for answer in answers} == {1}


async def test_fifty_creates_at_once_through_two_kendras_land_evenly_on_equal_servers(stage: Stage) -> None:
    await stage.kendra()
    for name in ("ms1", "ms2"):
        await stage.server(name, 1000)
    await asyncio.gather(*(stage.create(f"m{n}") for n in range(50)))
    found = await booked(stage)
    assert sum(found.values()) == 50 * 16
    assert max(found.values()) <= 1.1 * min(found.values())


async def test_fifty_creates_at_once_never_exceed_what_two_servers_have(stage: Stage) -> None:
    await stage.server("ms1", 100)
    await stage.server("ms2", 200)
    outcomes = await asyncio.gather(*(stage.create(f"m{n}") for n in range(50)), return_exceptions=True)
    made = [one for one in outcomes if not isinstance(one, BaseException)]
    assert all(isinstance(one, NoCapacity) for one in outcomes if isinstance(one, BaseException))
    assert len(made) == 6 + 12
    assert await booked(stage) == {"ms1": 96, "ms2": 192}


async def test_fifty_creates_of_one_meeting_through_two_kendras_are_one_meeting(stage: Stage) -> None:
    await stage.kendra()
    await stage.server("ms1")
    await stage.server("ms2")
    answers = await asyncio.gather(*(stage.create("standup") for _ in range(50)))
    assert len({(one.media_server_id, one.router_id, one.epoch) for one in answers}) == 1
    assert sum(not one.repeated for one in answers) == 1
    assert sum((await booked(stage)).values()) == 16
    assert await stage.events("standup") == [(1, "MeetingCreated")]


async def test_a_server_that_refuses_is_passed_over_and_the_booking_moves(stage: Stage) -> None:
    first, second = await stage.server("ms1"), await stage.server("ms2", cpu=0.5)
    first.refuse[AllocateRouter] = MediaServerUnavailable("no")
    created = await stage.create("standup")
    assert (created.media_server_id, created.epoch) == (second.name, 2)
    assert await booked(stage) == {"ms1": 0, "ms2": 16}
    assert [type for _, type in await stage.events("standup")] == ["MeetingCreated", "MeetingMoved"]


async def test_a_server_that_does_not_answer_is_passed_over_within_the_budget(stage: Stage) -> None:
    first = await stage.server("ms1")
    await stage.server("ms2", cpu=0.5)
    first.deaf.add(AllocateRouter)
    began = time.monotonic()
    created = await stage.create("standup")
    assert created.media_server_id == "ms2"
    assert elapsed(began) < 4.0


async def test_kendra_answers_within_its_budget_though_every_server_is_deaf(stage: Stage) -> None:
    for number in range(4):
        (await stage.server(f"ms{number}")).deaf.add(AllocateRouter)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await stage.create("standup", budget=6.0)
    assert elapsed(began) < 4.3
    assert sum((await booked(stage)).values()) == 16, (
        "the meeting goes on wanting the last server, for the next create to ask"
    )


async def test_a_server_that_stopped_is_passed_over_at_once(stage: Stage) -> None:
    first = await stage.server("ms1")
    await stage.server("ms2", cpu=0.5)
    await first.stop()
    began = time.monotonic()
    assert (await stage.create("standup")).media_server_id == "ms2"
    assert elapsed(began) < 1.0


async def test_with_no_server_left_the_booking_is_given_back_and_the_row_takes_new_settings(stage: Stage) -> None:
    server = await stage.server("ms1")
    server.refuse[AllocateRouter] = MediaServerUnavailable("no")
    with pytest.raises(NoCapacity):
        await stage.create("standup")
    assert await booked(stage) == {"ms1": 0}
    server.refuse.clear()
    created = await stage.create("standup", participants=2)
    assert created.epoch == 3
    assert [type for _, type in await stage.events("standup")] == [
        "MeetingCreated",
        "MeetingUnplaced",
        "MeetingCreated",
    ]
    assert await booked(stage) == {"ms1": 8}


async def test_a_command_that_found_no_capacity_can_be_repeated_when_there_is_some(stage: Stage) -> None:
    command = uuid4()
    with pytest.raises(NoCapacity):
        await stage.create("standup", id=command)
    explained = await stage.ask(GetPlacement(), "standup")
    assert explained.decisions[0].chosen is None
    await stage.server("ms1")
    assert (await stage.create("standup", id=command)).epoch == 1


async def test_the_placement_is_explained_with_every_candidate(stage: Stage) -> None:
    await stage.server("ms1", cpu=0.5)
    await stage.server("ms2")
    await stage.server("ms3", capacity=3)
    await stage.create("standup")
    decision = (await stage.ask(GetPlacement(), "standup")).decisions[0]
    assert (decision.chosen, decision.epoch, decision.streams) == ("ms2", 1, 16)
    assert [one.media_server_id for one in decision.candidates] == ["ms2", "ms1", "ms3"]
    assert decision.candidates[2].rejected is not None
    assert "full" in decision.candidates[2].rejected


async def test_an_ended_meeting_begins_anew_and_its_epoch_and_sequence_go_on(stage: Stage) -> None:
    server = await stage.server("ms1")
    command = uuid4()
    await stage.create("standup", id=command)
    await stage.join("standup", "asha")
    await stage.ask(EndMeeting(), "standup")
    assert await booked(stage) == {"ms1": 0}
    assert server.number_of(CloseRouter) == 1
    with pytest.raises(MeetingNotFound):
        await stage.create("standup", id=command)
    again = await stage.create("standup", participants=9)
    assert (again.epoch, again.repeated) == (3, False)
    assert [sequence for sequence, _ in await stage.events("standup")] == [1, 2, 3, 4]
    assert (await stage.join("standup", "asha")).seat == 5
    await stage.relayed("standup")


async def test_a_meeting_ends_though_its_server_is_gone_and_a_repeat_ends_it_once(stage: Stage) -> None:
    server = await stage.server("ms1")
    await stage.create("standup")
    await server.stop()
    command = uuid4()
    await stage.ask(EndMeeting(), "standup", id=command)
    await stage.ask(EndMeeting(), "standup", id=command)
    with pytest.raises(MeetingNotFound):
        await stage.ask(EndMeeting(), "standup")
    assert [type for _, type in await stage.events("standup")] == ["MeetingCreated", "MeetingEnded"]


async def test_a_restarted_server_gets_the_meeting_anew_with_the_next_create(stage: Stage) -> None:
    await stage.server("ms1")
    await stage.create("standup")
    restarted = await stage.server("ms1")
    again = await stage.create("standup")
    assert (again.epoch, again.repeated) == (2, True)
    assert {call.epoch for order, call in restarted.asked if isinstance(order, AllocateRouter)} == {2}
    assert await booked(stage) == {"ms1": 16}
    assert await stage.rows.fetchval("select count(*) from media_servers") == 1


async def test_a_server_whose_lease_is_surely_over_loses_its_meeting_to_another(stage: Stage) -> None:
    silent = await stage.server("ms1")
    await stage.create("standup")
    await stage.server("ms2")
    await silent.renew(ago=6.0)
    silent.deaf.add(AllocateRouter)

    async def moved() -> bool:
        return (await stage.create("standup")).media_server_id == "ms2"

    await eventually(moved, within=10.0)
    assert await booked(stage) == {"ms1": 0, "ms2": 16}
    assert await stage.rows.fetchval("select count(*) from allocations where server = 'ms1'") == 0


async def test_a_draining_server_gets_nothing_until_it_is_undrained(stage: Stage) -> None:
    server = await stage.server("ms1")
    await stage.ask(DrainServer(media_server_id=server.name), "-", OPERATOR)
    with pytest.raises(NoCapacity):
        await stage.create("standup")
    listed = (await stage.ask(ListServers(), "-", OPERATOR)).servers
    assert [(one.media_server_id, one.draining, one.live) for one in listed] == [("ms1", True, True)]
    await stage.ask(UndrainServer(media_server_id=server.name), "-", OPERATOR)
    assert (await stage.create("standup")).media_server_id == "ms1"


async def test_a_command_needs_its_grant_here_too(stage: Stage) -> None:
    with pytest.raises(Forbidden):
        await stage.create("standup", actor=INVITED)
    with pytest.raises(Forbidden):
        await stage.ask(ListServers(), "-", ADMIN)
