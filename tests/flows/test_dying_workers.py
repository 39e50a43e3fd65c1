"""A worker of a media server dies under live calls: its meetings move, here to the worker that came in its place, and no other is touched."""

import os
import signal
from collections.abc import AsyncIterator

import pytest

from services.testing.session import Session
from services.testing.system import System, running_system
from sfu.plane import native
from tests.eventually import eventually
from tests.flows.pairs import Pair, log, pairs, seats, seen_again, where
from tests.truth import settled

SERVER = "media-server-1"
SETTINGS = {
    "media-server": {
        "DOORDARSHAN_PLANE": "native",
        "DOORDARSHAN_WORKERS": "2",
        "DOORDARSHAN_WORKER_DIES_ON": "SIGUSR1",
    }
}
BACK_WITHIN = 3.0
pytestmark = pytest.mark.skipif(bool(native.missing()), reason=f"only the native plane has several: {native.missing()}")


@pytest.fixture(scope="module")
async def system(session: Session) -> AsyncIterator[System]:
    """One media server with two workers."""
    async with running_system(session, media_servers=1, settings=SETTINGS) as started:
        yield started


async def worker_of(system: System, pair: Pair) -> str:
    """Return on which worker a meeting's router is."""
    sql = "select worker from allocations where meeting = $1 order by epoch desc limit 1"
    return str(await system.postgres.fetchval(sql, pair.meeting))


async def test_only_the_dead_workers_call_moves_and_its_pictures_are_back_in_time(system: System) -> None:
    async with pairs(system, 2, on=SERVER) as made:
        workers = [await worker_of(system, pair) for pair in made]
        assert sorted(workers) == ["worker-0", "worker-1"], "each meeting has a worker of its own"
        before = [await seats(system, pair) for pair in made]
        boot = await system.postgres.fetchval("select boot from media_servers")
        os.kill(system.pid(SERVER), signal.SIGUSR1)
        moved = await eventually(lambda: _moved(system, made), within=10)
        (other,) = [pair for pair in made if pair is not moved]
        await seen_again(moved)
        paused = moved.ravi.seen["asha"].longest_pause("video")
        print(f"worker died: pictures paused {paused:.2f} s")
        assert paused <= BACK_WITHIN
        assert await where(system, moved) == (SERVER, 2)
        assert await where(system, other) == (SERVER, 1)
        assert other.ravi.seen["asha"].longest_pause("video") < 1.0
        assert [await seats(system, pair) for pair in made] == before
        assert [type for type, _ in await log(system, moved)].count("MeetingMoved") == 1
        assert await system.postgres.fetchval("select boot from media_servers") == boot, "the process goes on"
        await settled(system)


async def _moved(system: System, made: list[Pair]) -> Pair | None:
    """Return the pair whose meeting has moved."""
    return next(iter([pair for pair in made if (await where(system, pair))[1] == 2]), None)
