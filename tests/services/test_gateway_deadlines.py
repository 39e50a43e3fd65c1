"""Whatever is away or never ends, the gateway answers within 4.5 s."""

import asyncio
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import httpx2
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from yarl import URL

from services.gateway.budget import ANSWER_WITHIN
from services.gateway.main import Gateway
from services.testing.session import Broker, Cache, Database
from tests.eventually import eventually
from tests.services.bus_peers import Line
from tests.services.conftest import MakeEdge
from tests.services.gateway_peers import Edge, Kendra, gateway_url, running, serving_kendra, settings_for

LARGE = 32 * 1024 * 1024
"""Bytes, more than what the kernel holds back for a reader."""


async def test_a_kendra_that_does_not_answer_is_504_within_the_budget(edge: Edge) -> None:
    edge.kendra.open.clear()
    started = time.monotonic()
    answer = await edge.http.get("/v1/meetings/standup", headers=edge.access())
    edge.kendra.open.set()
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    assert time.monotonic() - started < 4.6


async def test_a_queue_that_no_kendra_ever_served_is_503_at_once(
    postgres: Database, own_broker: Broker, redis: Cache
) -> None:
    gateway = Gateway(settings_for(postgres, own_broker.of["gateway"], redis))
    edge = Edge(gateway, Kendra(), httpx2.AsyncClient(base_url=gateway_url(gateway)), gateway.settings, postgres, redis)
    async with running(gateway), edge.http:
        answer = await eventually(lambda: connected_answer(edge))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.elapsed.total_seconds() < 1


async def connected_answer(edge: Edge) -> httpx2.Response | None:
    return await edge.http.get("/v1/meetings/standup", headers=edge.seat()) if edge.gateway.edge.bus.connected else None


async def test_a_broker_that_goes_away_is_503_within_the_budget_and_forgotten_when_it_is_back(
    postgres: Database, own_broker: Broker, redis: Cache
) -> None:
    line, kendra = Line(own_broker.of["gateway"]), Kendra()
    async with AsyncExitStack() as stack:
        down = await stack.enter_async_context(AsyncExitStack())
        url = await down.enter_async_context(line.laid())
        gateway = Gateway(settings_for(postgres, url, redis))
        await stack.enter_async_context(serving_kendra(own_broker, kendra))
        await stack.enter_async_context(running(gateway))
        http = await stack.enter_async_context(httpx2.AsyncClient(base_url=gateway_url(gateway), timeout=10))
        edge = Edge(gateway, kendra, http, gateway.settings, postgres, redis)
        assert (await eventually(lambda: connected_answer(edge))).status_code == 200
        await down.aclose()
        started = time.monotonic()
        away = await http.get("/v1/meetings/standup", headers=edge.seat())
        assert (away.status_code, away.json()["code"]) == (503, "unavailable")
        assert time.monotonic() - started < 4.6
        assert (await http.get("/readyz")).json()["checks"]["broker"] is False
        await stack.enter_async_context(line.laid(URL(url).port or 0))
        assert (await eventually(lambda: connected_answer(edge), within=15)).status_code == 200


async def test_a_gateway_that_never_reached_a_broker_lives_and_says_503_at_once(
    postgres: Database, redis: Cache
) -> None:
    gateway = Gateway(settings_for(postgres, "amqp://nobody@127.0.0.1:9/", redis))
    async with running(gateway), httpx2.AsyncClient(base_url=gateway_url(gateway), timeout=10) as http:
        edge = Edge(gateway, Kendra(), http, gateway.settings, postgres, redis)
        answer = await http.get("/v1/meetings/standup", headers=edge.seat())
        alive, ready = await http.get("/livez"), await http.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.elapsed.total_seconds() < 1
    assert (alive.status_code, ready.status_code) == (200, 503)
    assert ready.json() == {
        "ready": False,
        "checks": {"broker": False, "redis": True, "postgres": True, "staying": True},
    }


async def test_a_request_that_never_ends_is_answered_within_the_budget(edge: Edge) -> None:
    head = (
        f"POST /v1/meetings HTTP/1.1\r\nHost: x\r\nAuthorization: {edge.access()['Authorization']}\r\n"
        "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.settings.http_port)
    writer.write(head.encode())
    async with asyncio.timeout(6):
        assert b" 504 " in await reader.readline()
    writer.close()


async def test_a_caller_that_hangs_up_in_the_midst_of_its_request_is_no_failure_of_ours(edge: Edge) -> None:
    head = (
        f"POST /v1/meetings HTTP/1.1\r\nHost: x\r\nAuthorization: {edge.access()['Authorization']}\r\n"
        "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
    )
    hung_up = REGISTRY.get_sample_value("doordarshan_http_hung_up_total") or 0.0

    async def noticed() -> bool:
        return REGISTRY.get_sample_value("doordarshan_http_hung_up_total") == hung_up + 1

    with capture_logs() as lines:
        _, writer = await asyncio.open_connection("127.0.0.1", edge.settings.http_port)
        writer.write(head.encode())
        await writer.drain()
        writer.close()
        await eventually(noticed)
    assert [line for line in lines if line["log_level"] == "error"] == []


async def test_a_head_that_never_ends_is_cut_off(edge: Edge) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.settings.http_port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Padding: y\r\n" * 20_000)
    async with asyncio.timeout(5):
        assert b" 400 " in await reader.readline()
    writer.close()


async def test_a_file_reaches_a_slow_reader_whole(make_edge: MakeEdge, tmp_path: Path) -> None:
    (tmp_path / "large.js").write_bytes(bytes(LARGE))
    async with make_edge(web_root=tmp_path) as edge:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.settings.http_port, limit=1024)
        writer.write(b"GET /large.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await eventually(partial(later_than, time.monotonic() + ANSWER_WITHIN + 0.5), within=10)
        assert len((await reader.read()).partition(b"\r\n\r\n")[2]) == LARGE
        writer.close()


async def later_than(moment: float) -> bool:
    return time.monotonic() > moment
