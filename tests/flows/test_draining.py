"""Draining under live calls, by the command an operator types: the pictures go on, and what cannot go stays."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator

import pytest

from services.cli.participant.api import Api
from services.testing.session import Session
from services.testing.system import KEY, SECRET, System, running_system
from tests.eventually import eventually
from tests.flows.pairs import log, pairs, seats, seen_again, where
from tests.truth import settled

FIRST, SECOND = "media-server-1", "media-server-2"


@pytest.fixture(scope="module")
async def system(session: Session) -> AsyncIterator[System]:
    """Two kendras and two media servers for the tests of this file; each undrains what it drained."""
    async with running_system(session, kendras=2, media_servers=2) as started:
        yield started


async def begun(system: System, *arguments: str) -> Process:
    """Start `doordarshan` as the system's operator, where there is no terminal."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli.main", *arguments),
        *("--url", system.url, "--key", KEY, "--secret", SECRET),
        stdout=PIPE,
        stderr=STDOUT,
    )


async def ended(process: Process, within: float = 60.0) -> tuple[int | None, list[str]]:
    """Wait for a command; return its exit status and what it printed."""
    async with asyncio.timeout(within):
        printed, _ = await process.communicate()
    return process.returncode, printed.decode().splitlines()


async def drained(system: System, server: str) -> dict[str, object]:
    """Return what operators see of a server."""
    api = Api(system.url, system.token(grants=["operator"]))
    try:
        servers = (await api.get("/v1/servers"))["servers"]
    finally:
        await api.close()
    return next(one for one in servers if one["mediaServerId"] == server)  # type: ignore[index,union-attr,misc]


async def test_a_drained_servers_calls_go_on_elsewhere_without_the_pictures_stopping(system: System) -> None:
    async with pairs(system, 2, on=FIRST) as made:
        before = [await seats(system, pair) for pair in made]
        status, printed = await ended(await begun(system, "drain", FIRST, "--deadline", "30s"))
        try:
            assert (status, printed[-1]) == (0, f"{FIRST} is empty and gets no new meetings")
            assert any("2 meetings left" in line for line in printed), printed
            for pair, seated in zip(made, before, strict=True):
                await seen_again(pair)
                assert await where(system, pair) == (SECOND, 2)
                assert await seats(system, pair) == seated
                assert all(one.moves[0].kept for one in pair.people)
                assert [type for type, _ in await log(system, pair)].count("MeetingMoved") == 1
            pauses = [pair.ravi.seen["asha"].longest_pause(kind) for pair in made for kind in ("video", "audio")]
            print(f"drained: pictures and sound paused {pauses}")
            assert max(pauses) < 2.0, "they stopped while the meeting moved"
            await settled(system)
        finally:
            assert await ended(await begun(system, "undrain", FIRST)) == (0, [f"{FIRST} gets meetings again"])


async def test_a_drain_with_nowhere_to_go_says_so_and_is_cancelled_when_the_operator_interrupts_it(
    system: System,
) -> None:
    async with pairs(system, 1, on=FIRST) as (pair,):
        api = Api(system.url, system.token(grants=["operator"]))
        await api.post(f"/v1/servers/{SECOND}/drain")
        draining = await begun(system, "drain", FIRST, "--deadline", "10m")

        async def seen() -> bool:
            return bool((await drained(system, FIRST))["draining"])

        try:
            await eventually(seen, within=20)
            assert draining.stdout
            said = [(await draining.stdout.readline()).decode().strip() for _ in range(2)]
            assert said == ["there is no other media server that meetings could move to", f"{FIRST}: 1 meeting left"]
            draining.send_signal(signal.SIGINT)
            status, printed = await ended(draining)
            assert (status, printed[-1]) == (
                130,
                f"cancelled: {FIRST} gets meetings again; 0 of 1 meeting left it, and stay where they are",
            )
            assert not (await drained(system, FIRST))["draining"]
            assert await where(system, pair) == (FIRST, 1)
        finally:
            await api.delete(f"/v1/servers/{SECOND}/drain")
            await api.close()
