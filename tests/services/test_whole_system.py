"""The system as the tests start it: real processes, on a database, a vhost and a prefix of their own."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aio_pika
import psycopg
import pytest

from services.cli.participant.api import Api, ApiError
from services.cli.stack.readiness import status_of
from services.cli.stack.rundir import PROJECT
from services.testing.system import System
from tests.conftest import MakeSystem

_OUTER = """
import os, psycopg
async def test_the_given_services_are_used(system):
    found = await system.postgres.fetchval("select current_database()")
    assert found.startswith("test_") and found != "doordarshan"
    assert system.redis_prefix.startswith("test_")
    assert system.database.url.partition("/test_")[0] == os.environ["DOORDARSHAN_POSTGRES_URL"].rpartition("/")[0]
"""


@pytest.fixture
async def meeting(system: System) -> AsyncIterator[str]:
    """The id of a meeting that is ended after the test: its booking would be in the way of the next ones."""
    one = "whole-system"
    yield one
    api = Api(system.url, system.token(meeting=one))
    with suppress(ApiError):
        await api.delete(f"/v1/meetings/{one}")
    await api.close()


async def test_a_meeting_is_created_and_its_row_and_router_are_there(system: System, meeting: str) -> None:
    api = Api(system.url, system.token(meeting=meeting))
    created = await api.post("/v1/meetings", {"meetingId": meeting})
    row = await system.postgres.fetchrow("select server, router from allocations where meeting = $1", meeting)
    assert (row["server"], row["router"]) == (created["mediaServerId"], created["routerId"])
    assert created["mediaServerId"] in system.servers
    await api.close()


async def test_a_token_of_another_tenant_sees_nothing(system: System, meeting: str) -> None:
    ours = Api(system.url, system.token(meeting=meeting))
    theirs = Api(system.url, system.make_tenant("other", "other-key")())
    await ours.post("/v1/meetings", {"meetingId": meeting})
    with pytest.raises(ApiError) as refused:
        await theirs.post(f"/v1/meetings/{meeting}/join", {"participantId": "eve", "instanceId": "eve-1"})
    assert (refused.value.status, refused.value.code) == (404, "meeting_not_found")
    await ours.close()
    await theirs.close()


async def test_a_system_of_the_tests_own_has_as_many_processes_as_asked_and_its_settings(
    make_system: MakeSystem,
) -> None:
    system = await make_system(
        kendras=2, media_servers=2, settings={"media-server-2": {"DOORDARSHAN_CAPACITY": "77"}}, late=["kendra-2"]
    )
    assert not system.running.children["kendra-2"].running
    await system.start("kendra-2")
    assert (await status_of(f"{system.admin_url('kendra-2')}/readyz"))[0] == 200
    capacities = dict(await system.postgres.fetch("select server, capacity from media_servers"))
    assert capacities["media-server-2"] == 77
    assert capacities["media-server-1"] != 77


async def test_a_killed_process_can_be_started_again(make_system: MakeSystem) -> None:
    system = await make_system(media_servers=1)
    old = system.pid("media-server-1")
    await system.kill("media-server-1")
    assert (await status_of(f"{system.admin_url('media-server-1')}/readyz"))[0] == 0
    await system.start("media-server-1")
    assert system.pid("media-server-1") != old
    assert "media server runs" in system.log("media-server-1")


async def test_two_systems_do_not_see_each_other(system: System, make_system: MakeSystem) -> None:
    other = await make_system(media_servers=1)
    assert other.database.name != system.database.name
    assert other.broker.vhost != system.broker.vhost
    assert other.redis_prefix != system.redis_prefix
    found = await other.postgres.fetch("select server from media_servers")
    assert [row["server"] for row in found] == other.servers


async def test_the_user_tool_reaches_the_broker_with_its_own_permissions(system: System) -> None:
    async with await aio_pika.connect(system.tool_amqp_url) as connection:
        channel = await connection.channel()
        await channel.declare_queue("reply.tool.whole", arguments={"x-expires": 1000}, durable=True)
        await channel.declare_queue("kendra.commands", passive=True)


@pytest.mark.timeout(180)
async def test_services_that_the_environment_names_are_used_and_left_as_they_were(
    system: System, tmp_path: Path
) -> None:
    """Another session, given this one's services as if they were somebody's."""
    test = PROJECT / "tests" / f"test_given_{os.getpid()}.py"
    environment = {
        **os.environ,
        "DOORDARSHAN_POSTGRES_URL": system.database.url,
        "DOORDARSHAN_AMQP_URL": system.broker.url,
        "DOORDARSHAN_REDIS_URL": system.cache.url,
    }
    ours = system.redis_prefix.partition(":")[0]
    before = _databases(system.database.url)
    test.write_text(_OUTER)
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
        done = await asyncio.to_thread(
            subprocess.run, command, env=environment, cwd=PROJECT, capture_output=True, text=True
        )
    finally:
        test.unlink()
    assert done.returncode == 0, done.stdout
    assert _databases(system.database.url) == before
    assert {key.partition(":")[0] async for key in system.redis.scan_iter("test_*")} <= {ours}


def _databases(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("select datname from pg_database").fetchall()}
