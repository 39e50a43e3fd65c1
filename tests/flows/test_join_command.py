"""`doordarshan join`: a participant as a process of its own, that tells what it hears and gets over a dead media server by itself."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from services.cli.participant.api import Api, JsonObject
from services.testing.session import Session
from services.testing.system import KEY, SECRET, System, running_system
from tests.truth import rows_equal_memory

SETTINGS = {
    "kendra": {"DOORDARSHAN_LEASE": "3"},
    "media-server": {"DOORDARSHAN_LEASE": "3", "DOORDARSHAN_HEARTBEAT": "0.5"},
}


@pytest.fixture(scope="module")
async def system(session: Session) -> AsyncIterator[System]:
    """Two media servers for the tests of this file; who kills one puts it back."""
    async with running_system(session, media_servers=2, settings=SETTINGS) as started:
        yield started


class Joined:
    """A running `doordarshan join`, and what it has said."""

    def __init__(self, process: Process) -> None:
        self.process, self.said = process, ""

    async def says(self, *words: str, within: float = 20) -> None:
        """Wait until it says each of these, on lines that it did not say before."""
        assert self.process.stdout
        missing = set(words)
        async with asyncio.timeout(within):
            while missing and (line := (await self.process.stdout.readline()).decode()):
                self.said += line
                missing -= {one for one in missing if re.search(one, line)}
        assert not missing, f"it ended and never said {missing}: {self.said}{await self.complaint()}"

    async def ended(self, within: float = 20) -> int:
        """Wait until it has ended; return its exit status."""
        assert self.process.stdout
        async with asyncio.timeout(within):
            self.said += (await self.process.stdout.read()).decode()
            return await self.process.wait()

    async def complaint(self) -> str:
        """Return what it complained of, when it has ended."""
        assert self.process.stderr
        return (await self.process.stderr.read()).decode()


@asynccontextmanager
async def joining(system: System, meeting: str, *options: str, secret: str = SECRET) -> AsyncIterator[Joined]:
    """Run the command; whatever a test comes to, the process does not outlive it."""
    environment = os.environ | {"DOORDARSHAN_URL": system.url, "DOORDARSHAN_KEY": KEY, "DOORDARSHAN_SECRET": secret}
    command = (sys.executable, "-m", "services.cli.main", "join", meeting, *options)
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=PIPE)
    try:
        yield Joined(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def meeting_of(system: System, **settings: JsonObject) -> AsyncIterator[str]:
    """Have a meeting for a while."""
    meeting = f"m-{uuid4().hex[:10]}"
    api = Api(system.url, system.token())
    await api.post("/v1/meetings", {"meetingId": meeting, **settings})
    yield meeting
    await api.delete(f"/v1/meetings/{meeting}")
    await api.close()


async def seated(system: System, meeting: str) -> list[str]:
    """Return who sits in a meeting."""
    sql = "select participant from participants where meeting = $1 and left_at is null order by participant"
    return [row["participant"] for row in await system.postgres.fetch(sql, meeting)]


async def test_two_hear_and_see_each_other_again_after_their_media_server_was_killed(system: System) -> None:
    async with (
        meeting_of(system) as meeting,
        joining(system, meeting, "--name", "asha") as asha,
        joining(system, meeting, "--name", "ravi", "--publish", "audio") as ravi,
    ):
        await ravi.says("sends audio$")
        await asha.says("hears ravi$")
        await ravi.says("hears asha$", "sees asha$")
        died = await system.postgres.fetchval("select server from meetings where meeting = $1", meeting)
        await system.kill(died)
        try:
            for one in (asha, ravi):
                await one.says(f"{meeting} moved to epoch 2$")
            await asha.says(r"hears ravi again after \d+\.\d s$")
            await ravi.says(r"hears asha again after \d+\.\d s$", r"sees asha again after \d+\.\d s$")
            assert await seated(system, meeting) == ["asha", "ravi"]
            asha.process.send_signal(signal.SIGTERM)
            assert await asha.ended() == 0
            assert asha.said.endswith(f"asha left {meeting}\n")
            await ravi.says("asha left$")
            ravi.process.send_signal(signal.SIGINT)
            assert await ravi.ended() == 0
            assert [await one.complaint() for one in (asha, ravi)] == ["", ""]
            assert await seated(system, meeting) == []
            await rows_equal_memory(system)
        finally:
            await system.start(died)


async def test_it_stays_as_long_as_it_is_told_and_starts_a_meeting_that_does_not_run(system: System) -> None:
    meeting = f"m-{uuid4().hex[:10]}"
    async with joining(system, meeting, "--create", "--for", "1s", "--publish", "none") as one:
        await one.says(f"joined {meeting} ")
        assert await one.ended() == 0
        assert one.said.endswith(f"left {meeting}\n")
        assert await one.complaint() == ""


async def test_it_ends_with_its_meeting(system: System) -> None:
    meeting = f"m-{uuid4().hex[:10]}"
    async with joining(system, meeting, "--create") as one:
        await one.says("sends audio and video")
        api = Api(system.url, system.token())
        await api.delete(f"/v1/meetings/{meeting}")
        await api.close()
        assert await one.ended() == 0
        assert await one.complaint() == ""
        assert one.said.endswith(f"{meeting} ended\n")


@pytest.mark.parametrize(
    ("secret", "why"), [(SECRET, "meeting_full"), ("wrong" * 8, "unauthenticated")], ids=["full", "wrong secret"]
)
async def test_who_cannot_join_is_told_why_in_one_line(system: System, secret: str, why: str) -> None:
    async with (
        meeting_of(system, capacity={"participants": 1, "producers": 2}) as meeting,
        joining(system, meeting, "--publish", "none") as first,
    ):
        await first.says("joined")
        async with joining(system, meeting, secret=secret) as second:
            assert await second.ended() == 1
            complaint = await second.complaint()
        assert complaint.startswith(f"doordarshan: cannot join {meeting}: {why}")
        assert len(complaint.splitlines()) == 1
        first.process.terminate()
        assert await first.ended() == 0
