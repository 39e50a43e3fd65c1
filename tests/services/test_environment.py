"""A process that lacks a setting, or whose port is taken, says so in one line each, and ends."""

import asyncio
import os
import sys

import pytest

URLS = {
    "POSTGRES_URL": "postgresql://127.0.0.1:9/x",
    "AMQP_URL": "amqp://127.0.0.1:9/",
    "REDIS_URL": "redis://127.0.0.1:9/0",
}
SECRET = {"CLUSTER_SECRET": "s" * 40}


async def start(service: str, **settings: str) -> tuple[int | None, list[str]]:
    """Run a service with these settings alone; return its exit status and its last words."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DOORDARSHAN_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli.main", service),
        env=clean | {f"DOORDARSHAN_{name}": value for name, value in settings.items()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(20):
        said, _ = await process.communicate()
    return process.returncode, said.decode().splitlines()


@pytest.mark.parametrize(("service", "needs"), [("gateway", URLS | SECRET), ("kendra", URLS)])
async def test_each_setting_that_is_missing_is_one_line(service: str, needs: dict[str, str]) -> None:
    status, said = await start(service)
    assert status == 1
    assert said == [f"{service}: DOORDARSHAN_{name}: Field required" for name in needs]


async def test_a_value_that_will_not_do_is_named_and_not_shown() -> None:
    status, said = await start("kendra", **URLS, COMMAND_QUEUE="hunter2")
    assert (status, len(said)) == (1, 1)
    assert said[0].startswith("kendra: DOORDARSHAN_COMMAND_QUEUE: ")
    assert "hunter2" not in said[0]


@pytest.mark.parametrize(("service", "needs"), [("gateway", URLS | SECRET), ("kendra", URLS)])
async def test_an_admin_port_that_is_taken_is_named(service: str, needs: dict[str, str]) -> None:
    taken = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    status, said = await start(service, **needs, ADMIN_PORT=str(port))
    taken.close()
    assert (status, said[-1]) == (1, f"{service}: cannot listen on 127.0.0.1 port {port}: Address already in use")
    assert not any("Traceback" in line for line in said)
