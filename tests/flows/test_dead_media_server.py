"""A media server that dies, is started again or stops: kendra moves its meetings by itself, and whoever was seated sees and hears again."""

import time
from collections.abc import AsyncIterator

import pytest

from services.testing.session import Session
from services.testing.system import System, running_system
from tests.eventually import eventually
from tests.flows.pairs import log, moved_after, pairs, seats, seen_again, where
from tests.truth import settled

LEASE = 3.0
SETTINGS = {
    "kendra": {"DOORDARSHAN_LEASE": "3"},
    "media-server": {"DOORDARSHAN_LEASE": "3", "DOORDARSHAN_HEARTBEAT": "0.5"},
}
FIRST, SECOND = "media-server-1", "media-server-2"


@pytest.fixture(scope="module")
async def system(session: Session) -> AsyncIterator[System]:
    """Two kendras and two media servers for the tests of this file; each puts back what it stopped."""
    async with running_system(session, kendras=2, media_servers=2, settings=SETTINGS) as started:
        yield started


async def test_a_killed_servers_calls_go_on_elsewhere_in_the_same_seats_with_the_same_tokens(system: System) -> None:
    async with pairs(system, 2, on=FIRST) as made:
        before = [await seats(system, pair) for pair in made]
        tokens = [one.api.token for pair in made for one in pair.people]
        killed = time.time()
        await system.kill(FIRST)
        try:
            for pair in made:
                await seen_again(pair)
            took = time.time() - killed
            moves = [await moved_after(system, pair, killed) for pair in made]
            pauses = [pair.ravi.seen["asha"].longest_pause("video") for pair in made]
            print(f"killed: moved after {moves}, all back after {took:.2f} s, pictures paused {pauses}")
            assert max(moves) < LEASE + 3.0
            for pair, seated in zip(made, before, strict=True):
                assert await where(system, pair) == (SECOND, 2)
                assert await seats(system, pair) == seated
                told = await log(system, pair)
                at = told.index(("MeetingMoved", 2))
                assert {epoch for _, epoch in told[:at]} == {1}
                assert {epoch for _, epoch in told[at:]} == {2}
                assert "ProducerClosed" not in dict(told), "the move says it all"
            assert [one.api.token for pair in made for one in pair.people] == tokens
        finally:
            await system.start(FIRST)
        await settled(system)


async def test_a_server_that_stops_in_order_hands_its_meeting_over_at_once(system: System) -> None:
    async with pairs(system, 1, on=FIRST) as (pair,):
        stopped = time.time()
        await system.stop(FIRST)
        try:
            await seen_again(pair)
            after = await moved_after(system, pair, stopped)
            print(f"stopped: moved after {after:.2f} s")
            assert await where(system, pair) == (SECOND, 2)
            assert after < LEASE
        finally:
            await system.start(FIRST)
        await settled(system)


async def test_with_no_server_left_who_is_seated_waits_and_goes_on_when_the_dead_one_is_started_again(
    system: System,
) -> None:
    async with pairs(system, 1, on=FIRST) as (pair,):
        await system.stop(SECOND)
        before = await seats(system, pair)
        await system.kill(FIRST)
        try:

            async def waits() -> bool:
                return (await log(system, pair))[-1][0] == "MeetingUnplaced"

            await eventually(waits, within=LEASE + 10)
        finally:
            await system.start(FIRST)
        await seen_again(pair)
        assert (await where(system, pair))[0] == FIRST
        assert await seats(system, pair) == before
        types = [type for type, _ in await log(system, pair)]
        assert types.count("MeetingMoved") == 1
        assert "ProducerClosed" not in types
        await system.start(SECOND)
        await settled(system)
