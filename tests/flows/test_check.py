"""`doordarshan check` proves a deployment, or says which step did not hold."""

import asyncio
import re
import sys

import pytest

from services.testing.system import KEY, SECRET, System
from sfu.worker import default_plane
from tests.conftest import MakeSystem


async def run_check(*arguments: str, before: tuple[str, ...] = ()) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *before,
        sys.executable,
        "-m",
        "services.cli.main",
        "check",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_it_prints_every_step_and_what_was_received(system: System) -> None:
    code, said = await run_check("--url", system.url, "--key", KEY, "--secret", SECRET, "--seconds", "2")
    assert code == 0, said
    for step in ("create meeting", "alice joins", "bob produces", "alice sees and hears bob", "counters agree"):
        assert step in said
    steps = [line for line in said.splitlines() if not line.startswith(" ")]
    assert all(re.match(r"ok +\d+ ms  \S", step) for step in steps[:-1])
    assert steps[-1].startswith(f"All is well: {system.url}")
    pictures, sounds = said.count("320x240"), said.count(" Hz")
    assert (pictures, sounds) == (2, 2), "each says what it saw and heard of the other"


@pytest.mark.parametrize("plane", [*({default_plane()} - {"reference"}), "reference"])
async def test_a_deployment_is_proved_on_the_plane_that_is_preferred_and_on_the_reference_plane(
    make_system: MakeSystem, plane: str
) -> None:
    chosen = {} if plane == default_plane() else {"media-server": {"DOORDARSHAN_PLANE": plane}}
    system = await make_system(media_servers=1, settings=chosen)
    assert f"plane={plane} " in system.log("media-server-1")
    code, said = await run_check("--url", system.url, "--key", KEY, "--secret", SECRET, "--seconds", "2")
    assert code == 0, said


async def test_a_wrong_secret_is_named_as_the_reason(system: System) -> None:
    code, said = await run_check("--url", system.url, "--key", KEY, "--secret", "wrong" * 8)
    assert code == 1
    assert "create meeting" in said.splitlines()[-1]
    assert "unauthenticated" in said


async def test_a_machine_with_nothing_but_loopback_is_told_so_in_one_line(system: System) -> None:
    code, said = await run_check("--url", system.url, "--key", KEY, "--secret", SECRET, before=("unshare", "-rn"))
    assert code == 1
    assert "no address but loopback" in said
    assert len(said.splitlines()) == 1


async def test_a_media_server_that_nobody_reaches_is_named_as_the_reason(make_system: MakeSystem) -> None:
    nowhere = {"DOORDARSHAN_ANNOUNCED_ADDRESS": "198.51.100.7"}  # of the block for documentation (RFC 5737)
    system = await make_system(media_servers=1, settings={"media-server": nowhere})
    code, said = await run_check("--url", system.url, "--key", KEY, "--secret", SECRET)
    assert code == 1
    assert "check failed at: alice makes and connects both transports" in said.splitlines()[-1]
    assert await system.postgres.fetchval("select count(*) from meetings where ended_at is null") == 0
