"""The lasting participant gets over what is killed under it, with nobody telling it what to do."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from services.cli.participant.api import Api
from services.cli.participant.lasting import LastingParticipant
from services.cli.participant.media import SIGNATURES
from services.testing.session import Session
from services.testing.system import System, running_system
from tests.truth import rows_equal_memory

SETTINGS = {
    "kendra": {"DOORDARSHAN_LEASE": "3"},
    "media-server": {"DOORDARSHAN_LEASE": "3", "DOORDARSHAN_HEARTBEAT": "0.5"},
}
NAMES = ("asha", "ravi", "mala")
FRAMES = 10


@pytest.fixture(scope="module")
async def system(session: Session) -> AsyncIterator[System]:
    """Two gateways and two media servers for the tests of this file; each puts back what it killed."""
    async with running_system(session, gateways=2, media_servers=2, settings=SETTINGS) as started:
        yield started


@pytest.fixture
async def people(system: System) -> AsyncIterator[list[LastingParticipant]]:
    """Three participants who see and hear each other."""
    meeting = f"m-{uuid4().hex[:10]}"
    async with AsyncExitStack() as stack:
        admin = Api(system.url, system.token(meeting=meeting))
        stack.push_async_callback(admin.close)
        await admin.post("/v1/meetings", {"meetingId": meeting})
        token = system.token(meeting=meeting, grants=("join", "produce", "consume"))
        found = []
        for name, signature in zip(NAMES, SIGNATURES, strict=True):
            one = LastingParticipant(system.urls, token, meeting, name, signature)
            stack.push_async_callback(one.close)
            await one.join()
            await one.connect()
            await one.produce()
            found.append(one)
        for one in found:
            await one.until(sees_all(one), 20)
        yield found
        await admin.delete(f"/v1/meetings/{meeting}")
        for one in found:
            await one.until(is_over(one), 10)


def sees_all(one: LastingParticipant, frames: int = FRAMES) -> Callable[[], bool]:
    """Return whether so many new pictures and sounds of everybody else have come since now."""
    others = [name for name in NAMES if name != one.name]
    wanted = {(name, kind): one.seen[name].frames[kind] + frames for name in others for kind in ("audio", "video")}
    return lambda: all(one.seen[name].frames[kind] >= least for (name, kind), least in wanted.items())


def hears_of_a_pause(one: LastingParticipant) -> Callable[[], bool]:
    return lambda: any(view.paused for view in one.producers.values())


def moved_to(one: LastingParticipant, *epochs: int) -> Callable[[], bool]:
    return lambda: [move.epoch for move in one.moves] == list(epochs)


def is_over(one: LastingParticipant) -> Callable[[], bool]:
    return lambda: one.over == "meeting_not_found"


async def test_a_killed_media_server_is_got_over_in_the_same_seats(
    system: System, people: list[LastingParticipant]
) -> None:
    where = "select server from meetings where meeting = $1"
    seats = "select participant, seat from participants where meeting = $1 and left_at is null order by seat"
    meeting = people[0].meeting
    died, seated = await system.postgres.fetchval(where, meeting), await system.postgres.fetch(seats, meeting)
    people[0].pause("audio")
    await people[1].until(hears_of_a_pause(people[1]), 5)
    await system.kill(died)
    try:
        for one in people:
            await one.until(moved_to(one, 2), 20)
        for one in people[1:]:
            await one.until(hears_of_a_pause(one), 20)
        people[0].pause("audio", paused=False)
        for one in people:
            await one.until(sees_all(one), 20)
        assert await system.postgres.fetchval(where, meeting) != died
        assert await system.postgres.fetch(seats, meeting) == seated
        await rows_equal_memory(system)
    finally:
        await system.start(died)


async def test_a_transport_that_the_server_closes_is_made_anew_with_what_was_on_it(
    system: System, people: list[LastingParticipant]
) -> None:
    asha, ravi, _ = people
    assert asha.send_transport
    assert asha.recv_transport
    for transport in (asha.send_transport.id, asha.recv_transport.id):
        await asha.api.delete(f"{asha.mine}/transports/{transport}")
    await ravi.until(sees_all(ravi), 20)
    await asha.until(sees_all(asha), 20)
    assert asha.moves == []
    await rows_equal_memory(system)


async def test_a_gateway_that_dies_costs_no_call_and_no_event(system: System, people: list[LastingParticipant]) -> None:
    asha, ravi, _ = people
    await system.kill("gateway-1")
    try:
        asha.pause("video")
        await ravi.until(hears_of_a_pause(ravi), 20)
        asha.pause("video", paused=False)
        await ravi.until(lambda: not hears_of_a_pause(ravi)(), 20)
        assert [call for call in asha.api.history if not call.acknowledged] == []
        told = [event.sequence or 0 for event in ravi.events]
        assert told == list(range(told[0], told[0] + len(told)))
    finally:
        await system.start("gateway-1")
