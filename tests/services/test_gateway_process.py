"""A gateway as a process: what it refuses to start with, HTTPS, its metrics, and how fast it goes."""

import asyncio
import os
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from services.cli.stack.certificate import self_signed
from services.cli.stack.ports import free_ports
from tests.eventually import eventually
from tests.services.bus_peers import Line
from tests.services.gateway_peers import CLUSTER_SECRET, Edge

COMMAND = (sys.executable, "-m", "services.cli.main", "gateway")


def environment(edge: Edge, **own: str) -> dict[str, str]:
    given = {
        "POSTGRES_URL": edge.settings.postgres_url,
        "AMQP_URL": edge.settings.amqp_url,
        "REDIS_URL": edge.settings.redis_url,
        "REDIS_PREFIX": edge.settings.redis_prefix,
        "CLUSTER_SECRET": CLUSTER_SECRET,
        "LEAVING": "0",
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DOORDARSHAN_")}
    return clean | {f"DOORDARSHAN_{name}": value for name, value in (given | own).items()}


@asynccontextmanager
async def started(env: dict[str, str], admin: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(*COMMAND, env=env | {"DOORDARSHAN_ADMIN_PORT": str(admin)})
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{admin}") as http:

        async def ready() -> bool:
            assert process.returncode is None
            try:
                return (await http.get("/readyz")).status_code == 200
            except httpx2.TransportError:
                return False

        await eventually(ready, within=20)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize(
    ("name", "value"), [("CLUSTER_SECRET", ""), ("CLUSTER_SECRET", "short"), ("TLS_KEY", "/a.pem")]
)
async def test_it_refuses_to_start_with_one_clear_line(edge: Edge, name: str, value: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, env=environment(edge, **{name: value}), stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    lines = said.decode().strip().splitlines()
    assert (process.returncode, len(lines)) == (1, 1), lines
    assert f"DOORDARSHAN_{name.partition('_')[0]}" in lines[0]
    assert "short" not in lines[0].partition("at least")[0]


async def test_a_port_that_is_taken_is_one_clear_line(edge: Edge) -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, env=environment(edge, HTTP_PORT=str(edge.settings.http_port)), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20):
        _, said = await process.communicate()
    assert process.returncode == 1
    assert f"port {edge.settings.http_port}" in said.decode().strip().splitlines()[-1]
    assert "Traceback" not in said.decode()


async def test_a_terminated_gateway_is_gone_at_once_though_events_are_followed(edge: Edge) -> None:
    port, admin = free_ports(2)
    path = f"http://127.0.0.1:{port}/v1/meetings/standup/events"
    async with (
        started(environment(edge, HTTP_PORT=str(port)), admin) as process,
        httpx2.AsyncClient(timeout=10) as http,
        http.stream("GET", path, headers=edge.seat()) as stream,
    ):
        assert stream.status_code == 200
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        async with asyncio.timeout(10):
            assert await process.wait() == 0
        assert time.monotonic() - began < 4


async def test_its_stop_is_over_within_ten_seconds_although_nothing_answers_any_more(edge: Edge) -> None:
    given = edge.settings
    urls = {"POSTGRES_URL": given.postgres_url, "AMQP_URL": given.amqp_url, "REDIS_URL": given.redis_url}
    lines = {name: Line(url) for name, url in urls.items()}
    port, admin = free_ports(2)
    async with AsyncExitStack() as laid:
        near = {name: await laid.enter_async_context(line.laid()) for name, line in lines.items()}
        process = await laid.enter_async_context(started(environment(edge, HTTP_PORT=str(port), **near), admin))
        for line in lines.values():
            line.stall()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0


async def test_it_counts_requests_by_flow_and_never_by_path(edge: Edge) -> None:
    port, admin = free_ports(2)
    async with started(environment(edge, HTTP_PORT=str(port)), admin), httpx2.AsyncClient() as http:
        await http.get(f"http://127.0.0.1:{port}/v1/meetings/standup", headers=edge.seat())
        await http.get(f"http://127.0.0.1:{port}/v1/nothing/here")
        metrics = (await http.get(f"http://127.0.0.1:{admin}/metrics")).text
    assert 'doordarshan_http_seconds_count{flow="get_meeting",status="200"} 1.0' in metrics
    assert 'doordarshan_http_seconds_count{flow="none",status="404"} 1.0' in metrics
    assert "standup" not in metrics


async def test_it_serves_https_with_a_given_certificate(edge: Edge, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "127.0.0.1")
    port, admin = free_ports(2)
    env = environment(edge, HTTP_PORT=str(port), TLS_CERTIFICATE=str(certificate), TLS_KEY=str(key))
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with started(env, admin), httpx2.AsyncClient(verify=trusting) as http:
        answer = await http.get(f"https://127.0.0.1:{port}/v1/meetings/standup", headers=edge.seat())
    assert answer.status_code == 200
    assert "max-age" in answer.headers["Strict-Transport-Security"]


async def test_one_that_is_told_to_stop_serves_on_until_a_load_balancer_can_have_seen_it(edge: Edge) -> None:
    port, admin = free_ports(2)
    async with (
        started(environment(edge, HTTP_PORT=str(port), LEAVING="1.5"), admin) as process,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as http,
    ):
        assert "Connection" not in (await http.get("/v1/meetings/standup", headers=edge.seat())).headers
        process.send_signal(signal.SIGTERM)

        async def not_ready() -> bool:
            said = [await http.get(f"http://127.0.0.1:{at}/readyz") for at in (port, admin)]
            return [(one.status_code, one.json()["checks"]["staying"]) for one in said] == [(503, False)] * 2

        await eventually(not_ready)
        answer = await http.get("/v1/meetings/standup", headers=edge.seat())
        assert (answer.status_code, answer.headers["Connection"]) == (200, "close")
        async with asyncio.timeout(10):
            assert await process.wait() == 0
