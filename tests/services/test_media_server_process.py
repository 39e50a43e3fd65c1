"""A media server as a process: what it cannot start with is one clear line, and no traceback."""

import asyncio
import os
import socket
import sys

import pytest

COMMAND = (sys.executable, "-m", "services.cli.main", "media-server")
NOBODY = {"POSTGRES_URL": "postgresql://nobody@127.0.0.1:1/none", "AMQP_URL": "amqp://a:b@127.0.0.1:1/"}


async def refused(**settings: str) -> str:
    """Start one that cannot run; return what it said."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DOORDARSHAN_")}
    env = clean | {f"DOORDARSHAN_{name}": value for name, value in (NOBODY | settings).items()}
    process = await asyncio.create_subprocess_exec(
        *COMMAND, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(20):
        said, _ = await process.communicate()
    assert process.returncode == 1
    return said.decode()


@pytest.mark.parametrize(
    ("name", "value"),
    [("LISTEN_IP", "0.0.0.0"), ("LISTEN_IP", "localhost"), ("MEDIA_PORT", "99999"), ("SERVER", "no spaces")],
)
async def test_a_setting_that_cannot_be_is_named_in_one_line(name: str, value: str) -> None:
    said = await refused(**{name: value})
    assert said.startswith(f"media server: DOORDARSHAN_{name}: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", ["ADMIN_PORT", "MEDIA_PORT"])
async def test_a_port_that_is_taken_is_named_in_one_line(name: str) -> None:
    kind = socket.SOCK_STREAM if name == "ADMIN_PORT" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = str(taken.getsockname()[1])
        said = await refused(**{name: port})
    assert port in said
    assert "in use" in said
    assert said.count("\n") == 1
