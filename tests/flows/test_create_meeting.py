"""Create meeting: kendra places it, the media server makes its router, both say so in Postgres."""

import pytest

from services.cli.participant.api import ApiError
from tests.flows.people import Meeting
from tests.truth import live_memory


async def test_a_meeting_gets_a_router_on_one_server_and_the_server_writes_the_allocation(meeting: Meeting) -> None:
    created = await meeting.create()
    allocation = await meeting.system.postgres.fetchrow("select * from allocations where meeting = $1", meeting.id)
    assert created["state"] == "placed"
    assert created["epoch"] == 1
    assert (allocation["server"], allocation["router"]) == (created["mediaServerId"], created["routerId"])
    assert created["routerId"] in (await live_memory(meeting.system))["routers"]
    assert await meeting.events() == [(1, "MeetingCreated")]


async def test_creating_it_again_with_the_same_settings_answers_the_same(meeting: Meeting) -> None:
    first = await meeting.create()
    second = await meeting.create()
    assert second == first
    assert await meeting.events() == [(1, "MeetingCreated")]


async def test_other_settings_are_refused_while_it_runs(meeting: Meeting) -> None:
    await meeting.create(participants=2)
    with pytest.raises(ApiError) as refused:
        await meeting.create(participants=3)
    assert (refused.value.status, refused.value.code) == (409, "meeting_exists")


async def test_an_ended_meeting_begins_anew_and_its_epoch_and_sequence_go_on(meeting: Meeting) -> None:
    await meeting.create(participants=2)
    await meeting.admin.delete(meeting.path)
    again = await meeting.create(participants=3)
    assert again["epoch"] == 3
    assert [sequence for sequence, _ in await meeting.events()] == [1, 2, 3]


async def test_a_meeting_too_large_for_every_server_is_no_capacity(meeting: Meeting) -> None:
    meeting.admin.budget = 0
    with pytest.raises(ApiError) as refused:
        await meeting.create(participants=10_000, producers=10_000)
    assert (refused.value.status, refused.value.code) == (503, "no_capacity")
    booked = await meeting.system.postgres.fetchval("select max(booked) from bookings")
    assert booked < 100_000_000


async def test_the_placement_can_be_read_with_its_reasons(meeting: Meeting) -> None:
    created = await meeting.create()
    explained = await meeting.admin.get(f"{meeting.path}/placement")
    decision = explained["decisions"][-1]
    assert decision["chosen"] == created["mediaServerId"]
    assert {one["mediaServerId"] for one in decision["candidates"]} == set(meeting.system.servers)
    assert decision["reason"]
