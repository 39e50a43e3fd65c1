"""Media servers as an operator sees them: listed, drained, explained; over HTTP and from the command line."""

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest

from services.cli.participant.api import Api, ApiError
from services.testing.system import KEY, SECRET, System
from tests.flows.people import Meeting


async def command(system: System, *arguments: str) -> tuple[int | None, list[str]]:
    """Run `doordarshan` as the system's operator; return its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli.main", *arguments),
        *("--url", system.url, "--key", KEY, "--secret", SECRET),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(30):
        printed, _ = await process.communicate()
    return process.returncode, printed.decode().splitlines()


@pytest.fixture
async def operator(system: System) -> AsyncIterator[Api]:
    """An operator's calls: no grant but that one."""
    api = Api(system.url, system.token(grants=["operator"]), budget=0)
    yield api
    await api.close()


async def test_a_drained_server_gets_no_meeting_until_it_is_undrained(system: System, operator: Api) -> None:
    drained, other = system.servers
    meetings = [Meeting(system) for _ in range(4)]
    try:
        status, printed = await command(system, "drain", drained)
        assert (status, printed[-1]) == (0, f"{drained} is empty and gets no new meetings")
        listed = {one["mediaServerId"]: one for one in (await operator.get("/v1/servers"))["servers"]}
        assert {name: (one["draining"], one["live"]) for name, one in listed.items()} == {
            drained: (True, True),
            other: (False, True),
        }
        assert {(await one.create(2, 2))["mediaServerId"] for one in meetings[:3]} == {other}
        explained = (await meetings[0].admin.get(f"{meetings[0].path}/placement"))["decisions"][-1]
        assert {one["mediaServerId"]: one.get("rejected") for one in explained["candidates"]}[drained] == "draining"
        assert await command(system, "undrain", drained) == (0, [f"{drained} gets meetings again"])
        await meetings[3].create(2, 2)
        explained = (await meetings[3].admin.get(f"{meetings[3].path}/placement"))["decisions"][-1]
        assert "draining" not in [one.get("rejected") for one in explained["candidates"]]
    finally:
        await operator.delete(f"/v1/servers/{drained}/drain")
        for one in meetings:
            await one.end()


async def test_a_server_that_there_is_not_cannot_be_drained(system: System, operator: Api) -> None:
    with pytest.raises(ApiError) as refused:
        await operator.post("/v1/servers/nowhere/drain")
    assert (refused.value.status, refused.value.code) == (404, "media_server_not_found")
    status, printed = await command(system, "drain", "nowhere")
    assert (status, len(printed)) == (1, 1)
    assert "media_server_not_found" in printed[0]


async def test_who_is_no_operator_sees_no_server(meeting: Meeting) -> None:
    with pytest.raises(ApiError) as refused:
        await Api(meeting.system.url, meeting.system.token(grants=["admin"])).get("/v1/servers")
    assert (refused.value.status, refused.value.code) == (403, "forbidden")


async def test_a_placement_is_explained_on_the_command_line(meeting: Meeting) -> None:
    created = await meeting.create(participants=3, producers=5)
    status, printed = await command(meeting.system, "explain", meeting.id)
    assert status == 0
    assert "15 streams" in printed[0]
    assert str(created["mediaServerId"]) in printed[0]
    assert "lowest utilization" in printed[0]
    for name in meeting.system.servers:
        row = next(line for line in printed[1:] if name in line.split())
        assert ("chosen" in row.split()) == (name == created["mediaServerId"])


async def test_an_operator_learns_why_a_meeting_is_where_it_is_and_nothing_else_of_it(
    meeting: Meeting, operator: Api
) -> None:
    created = await meeting.create(2, 2)
    explained = await operator.get(f"{meeting.path}/placement")
    assert explained["decisions"][-1]["chosen"] == created["mediaServerId"]
    for path in (meeting.path, f"{meeting.path}/producers"):
        with pytest.raises(ApiError) as refused:
            await operator.get(path)
        assert (refused.value.status, refused.value.code) == (403, "forbidden")


async def test_a_meeting_that_never_was_has_no_explanation(system: System) -> None:
    status, printed = await command(system, "explain", "never-created")
    assert (status, len(printed)) == (1, 1)
    assert "placement_not_found" in printed[0]
