"""The admin port: liveness depends on nothing, readiness on the checks, metrics are Prometheus text."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from services.admin import Admin


@asynccontextmanager
async def listening(**checks: Callable[[], Awaitable[bool]]) -> AsyncIterator[Admin]:
    admin = Admin(0, checks)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.stop()


async def get(admin: Admin, path: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", admin.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(5):
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


async def holds() -> bool:
    return True


async def is_away() -> bool:
    return False


async def breaks() -> bool:
    raise ConnectionError("a password in here")


async def hangs() -> bool:
    await asyncio.Event().wait()
    return True


async def test_a_process_lives_while_what_it_needs_is_away() -> None:
    async with listening(broker=is_away) as admin:
        assert (await get(admin, "/livez"))[0] == 200


async def test_it_is_ready_when_every_check_holds() -> None:
    async with listening(broker=holds, database=holds) as admin:
        status, body = await get(admin, "/readyz")
        assert (status, json.loads(body)) == (200, {"ready": True, "checks": {"broker": True, "database": True}})


@pytest.mark.parametrize("check", [is_away, breaks, hangs])
async def test_it_is_not_ready_when_a_check_fails_breaks_or_hangs(check: Callable[[], Awaitable[bool]]) -> None:
    async with listening(broker=holds, database=check) as admin:
        status, body = await get(admin, "/readyz")
        assert (status, json.loads(body)["checks"]) == (503, {"broker": True, "database": False})
        assert "password" not in body


async def test_metrics_are_served_as_prometheus_text() -> None:
    async with listening() as admin:
        status, body = await get(admin, "/metrics")
        assert status == 200
        assert "# TYPE python_info gauge" in body


async def test_a_taken_port_is_an_error_at_start() -> None:
    async with listening() as admin:
        with pytest.raises(OSError, match="in use"):
            await Admin(admin.port, {}).start()
