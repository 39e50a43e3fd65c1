"""A media server that dies, is started again or stops: kendra moves its meetings by itself, and whoever was seated sees and hears again."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import pytest

from services.cli.participant.api import Api
from services.cli.participant.lasting import LastingParticipant
from services.cli.participant.media import SIGNATURES
from services.testing.session import Session
from services.testing.system import System, running_system
from tests.eventually import eventually
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


class Pair:
    """A meeting in which Ravi sees and hears Asha."""

    def __init__(self, asha: LastingParticipant, ravi: LastingParticipant) -> None:
        self.asha, self.ravi = asha, ravi
        self.people, self.meeting = (asha, ravi), asha.meeting

    def more(self, frames: int = 5) -> Callable[[], bool]:
        """Return whether so many new pictures and sounds came since now."""
        seen = self.ravi.seen["asha"].frames
        wanted = {kind: seen[kind] + frames for kind in ("video", "audio")}
        return lambda: all(seen[kind] >= least for kind, least in wanted.items())


@asynccontextmanager
async def pairs(system: System, number: int, on: str) -> AsyncIterator[list[Pair]]:
    """Have so many pairs meet on one media server, by having the others get no meetings while they do."""
    async with AsyncExitStack() as stack:
        api = Api(system.url, system.token())
        stack.push_async_callback(api.close)
        others = [name for name in system.servers if name != on]
        for name in others:
            await api.post(f"/v1/servers/{name}/drain")
        made = []
        for _ in range(number):
            meeting = f"m-{uuid4().hex[:10]}"
            await api.post("/v1/meetings", {"meetingId": meeting})
            stack.push_async_callback(api.delete, f"/v1/meetings/{meeting}")
            token = system.token(meeting=meeting, grants=("join", "produce", "consume"))
            people = []
            for name, signature in zip(("asha", "ravi"), SIGNATURES, strict=False):
                one = LastingParticipant(system.urls, token, meeting, name, signature)
                stack.push_async_callback(one.close)
                await one.join()
                await one.connect()
                people.append(one)
            await people[0].produce()
            made.append(Pair(*people))
        for name in others:
            await api.delete(f"/v1/servers/{name}/drain")
        for pair in made:
            await pair.ravi.until(pair.more(), 20)
        yield made


async def where(system: System, pair: Pair) -> tuple[str, int]:
    """Return on which server a meeting is wanted, and its epoch."""
    row = await system.postgres.fetchrow("select server, epoch from meetings where meeting = $1", pair.meeting)
    return row["server"], row["epoch"]


async def seats(system: System, pair: Pair) -> list[tuple[str, str, int]]:
    """Return who sits in a meeting: participant, instance and seat."""
    sql = "select participant, instance, seat from participants where meeting = $1 and left_at is null order by seat"
    return [tuple(row) for row in await system.postgres.fetch(sql, pair.meeting)]


async def log(system: System, pair: Pair) -> list[tuple[str, int]]:
    """Return the meeting's log: types and epochs."""
    sql = "select type, epoch from events where meeting = $1 order by sequence"
    return [tuple(row) for row in await system.postgres.fetch(sql, pair.meeting)]


async def moved_after(system: System, pair: Pair, killed: float) -> float:
    """Return how long after the (wall clock) time of a kill the meeting was moved."""
    sql = "select extract(epoch from at)::float8 from events where meeting = $1 and type = 'MeetingMoved'"
    return float(await system.postgres.fetchval(sql, pair.meeting)) - killed


async def seen_again(pair: Pair) -> None:
    """Wait until both have heard of the move and what was sent comes again."""
    for one in pair.people:
        await one.until(lambda one=one: bool(one.moves), 15)  # type: ignore[misc]
    await pair.ravi.until(pair.more(), 20)


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


async def test_a_server_that_is_started_again_gets_its_meeting_back_before_its_lease_would_be_over(
    system: System,
) -> None:
    async with pairs(system, 1, on=FIRST) as (pair,):
        await system.stop(SECOND)
        try:
            killed = time.time()
            await system.kill(FIRST)
            await system.start(FIRST)
            started = time.time() - killed
            await seen_again(pair)
            print(f"started after {started:.2f} s, moved after {await moved_after(system, pair, killed):.2f} s")
            types = [type for type, _ in await log(system, pair)]
            assert types.count("MeetingMoved") == 1
            assert "ProducerClosed" not in types
            assert (await where(system, pair))[0] == FIRST
            assert await moved_after(system, pair, killed) < max(started, LEASE) + 2.0
        finally:
            await system.start(SECOND)
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


async def test_with_no_server_left_who_is_seated_waits_and_is_there_when_one_comes(system: System) -> None:
    async with pairs(system, 1, on=FIRST) as (pair,):
        await system.stop(SECOND)
        before = await seats(system, pair)
        await system.kill(FIRST)
        try:

            async def waits() -> bool:
                return (await log(system, pair))[-1][0] == "MeetingUnplaced"

            await eventually(waits, within=LEASE + 10)
        finally:
            await system.start(SECOND)
        await seen_again(pair)
        assert await seats(system, pair) == before
        assert (await where(system, pair))[0] == SECOND
        await system.start(FIRST)
        await settled(system)
