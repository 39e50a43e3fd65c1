"""What is left behind ends by itself: a whole system whose times are short, and what processes and people leave there.

The last test ends everything: no table and no stream keeps anything of what was.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aio_pika
import asyncpg
import psutil
import pytest
from aio_pika.exceptions import DeliveryError

from services.cli.participant.api import Api
from services.kendra.sweep import LOCK
from services.testing.session import Session
from services.testing.system import System, running_system
from tests.eventually import eventually
from tests.flows.people import Meeting

GRACE = 1.5
"""Seconds after which a seat is given up that nobody uses, at the latest: unseen, then lost."""
SHORT = {
    "kendra": {
        "SEAT_UNUSED": "0.5",
        "SEAT_LOST": "0.5",
        "SEAT_UNSEEN": "1",
        "MEETING_EMPTY": "2",
        "LEASE": "2",
        "SERVER_SILENT": "3",
        "SERVER_FORGOTTEN": "1",
        "SWEEP_UNHEARD": "1",
        "STEPS_KEPT": "2",
        "EVENTS_KEPT": "2",
        "PLACEMENTS_KEPT": "2",
        "MEETINGS_KEPT": "2",
        "STREAM_KEPT": "2",
    },
    "gateway": {"SEEN_EACH": "0.3"},
    "media-server": {"LEASE": "2", "HEARTBEAT": "0.4", "STEPS_KEPT": "2", "COMMANDS_KEPT": "1", "REPLIES_KEPT": "1"},
}
OPERATORS = {"tenants", "api_keys"}
LIVE = {"media_servers", "workers", "bookings"}
"""What the media server has that goes on running."""
TABLES = """
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind = 'r' and c.relname !~ 'yoyo'
"""


@pytest.fixture(scope="module")
async def short(session: Session) -> AsyncIterator[System]:
    """A system that forgets fast, with two kendras."""
    settings = {
        kind: {f"DOORDARSHAN_{name}": value for name, value in values.items()} for kind, values in SHORT.items()
    }
    async with running_system(session, kendras=2, media_servers=2, settings=settings) as system:
        yield system


@asynccontextmanager
async def alone(system: System, name: str) -> AsyncIterator[tuple[Meeting, Api]]:
    """Give a meeting in which one participant sits alone: both transports made, none connected. Leave everything as it is."""
    meeting = Meeting(system)
    await meeting.create(2, 2)
    api = Api(system.url, system.token(meeting=meeting.id, grants=["join", "produce", "consume"]))
    joined = await api.post(f"{meeting.path}/join", {"participantId": name, "instanceId": "1"})
    api.token = str(joined["participantToken"])
    for direction in ("send", "recv"):
        await api.post(f"{meeting.path}/participants/{name}/transports", {"direction": direction})
    try:
        yield meeting, api
    finally:
        await api.close()
        await meeting.admin.close()


@asynccontextmanager
async def following(meeting: Meeting, api: Api) -> AsyncIterator[None]:
    """Have the events' stream open."""

    async def follow() -> None:
        async for _ in api.events(f"{meeting.path}/events"):
            pass

    task = asyncio.create_task(follow())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def seated(meeting: Meeting) -> bool:
    sql = "select count(*) from participants where meeting = $1 and left_at is null"
    return bool(await meeting.system.postgres.fetchval(sql, meeting.id))


async def sat_for(meeting: Meeting, seconds: float) -> bool:
    """Say whether somebody sits there for so long by now. Raises AssertionError when nobody does any more."""
    assert await seated(meeting), "the seat was given up"
    sql = "select clock_timestamp() - joined_at > make_interval(secs => $2) from participants where meeting = $1"
    return bool(await meeting.system.postgres.fetchval(sql, meeting.id, seconds))


async def is_free(meeting: Meeting) -> bool:
    return not await seated(meeting)


async def test_who_is_alone_keeps_the_seat_while_following_and_loses_it_when_the_page_is_gone(short: System) -> None:
    async with alone(short, "asha") as (stays, asha), alone(short, "ravi") as (goes, ravi), following(stays, asha):
        async with following(goes, ravi):
            await eventually(lambda: sat_for(stays, 2 * GRACE), within=10.0)
            await eventually(lambda: sat_for(goes, 2 * GRACE), within=10.0)
        await eventually(lambda: is_free(goes), within=10.0)
        assert await seated(stays)


LINGER = """
    create function linger() returns trigger language plpgsql as $$ begin perform pg_sleep(0.2); return null; end $$;
    create trigger lingers before update on participants for each statement execute function linger();
"""
"""Gives who holds the sweep's lock time to be found: notes of which seats are used are such updates."""
HOLDER = """
    select a.client_port from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.objid = $1 and l.granted and l.database = (select oid from pg_database where datname = current_database())
"""


@asynccontextmanager
async def as_kendra(system: System) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(system.database.of["kendra"])
    try:
        yield connection
    finally:
        await connection.close()


async def sweeper(system: System, looking: asyncpg.Connection) -> int:
    """Return the pid of the kendra that sweeps now, 0 when none does. Only who has a backend's role sees whose it is."""
    port = await looking.fetchval(HOLDER, LOCK)
    for name in system.kendras:
        process = psutil.Process(system.pid(name))
        if port is not None and port in {one.laddr.port for one in process.net_connections()}:
            return process.pid
    return 0


async def test_a_kendra_that_is_frozen_while_it_sweeps_holds_up_the_other_for_a_moment_only(short: System) -> None:
    async with alone(short, "asha") as (meeting, asha), following(meeting, asha), as_kendra(short) as looking:
        await short.postgres.execute(LINGER)
        frozen = await eventually(lambda: sweeper(short, looking))
        os.kill(frozen, signal.SIGSTOP)
        try:
            await short.postgres.execute("drop function linger cascade")
            assert await sweeper(short, looking) == frozen, "it sweeps no more: the test froze nothing"
            await short.postgres.execute("delete from transports where meeting = $1", meeting.id)
            await eventually(lambda: is_free(meeting), within=15.0)
        finally:
            os.kill(frozen, signal.SIGCONT)


async def has_queue(broker: aio_pika.abc.AbstractConnection, name: str) -> bool:
    """Say whether the broker has a queue. Declaring it would keep it: a message that nobody can read is returned when there is none."""
    async with broker.channel(on_return_raises=True) as channel:
        try:
            await channel.default_exchange.publish(aio_pika.Message(b"", expiration=0.001), name)
        except DeliveryError:
            return False
        return True


async def test_a_media_server_that_was_killed_leaves_no_queue_no_row_and_no_booking(short: System) -> None:
    dead = short.servers[1]
    boot = await short.postgres.fetchval("select boot from media_servers where server = $1", dead)
    queues = [f"media.{dead}.{boot}.commands", f"reply.media.{dead}.{boot}"]
    operator = Api(short.url, short.token(grants=["operator"]))
    await operator.post(f"/v1/servers/{dead}/drain")
    await operator.close()
    async with await aio_pika.connect(short.amqp_url) as broker:
        assert all([await has_queue(broker, name) for name in queues])
        await short.kill(dead)

        async def gone() -> bool:
            assert [name for name in queues if await has_queue(broker, name)] == []
            for table in ("media_servers", "workers", "bookings", "allocations"):
                count = await short.postgres.fetchval(f"select count(*) from {table} where server = $1", dead)  # noqa: S608
                assert count == 0, table
            return True

        await eventually(gone, within=20.0)


async def test_nothing_of_what_is_over_is_kept_for_ever(short: System) -> None:
    """Runs last: each table, and what Redis has, is looked at once everything that was begun above is over."""
    meeting = Meeting(short)
    await meeting.create(2, 2)
    asha = await meeting.connected("asha")
    await asha.produce()
    await asha.api.post(f"{meeting.path}/leave")
    await meeting.end()
    tables = {row["relname"] for row in await short.postgres.fetch(TABLES)}
    assert tables > OPERATORS | LIVE | {"handled_commands", "log_bases"}

    async def empty() -> bool:
        left = [
            table
            for table in sorted(tables - OPERATORS - LIVE)
            if await short.postgres.fetchval(f"select exists (select from {table})")  # noqa: S608
        ]
        left += [key async for key in short.redis.scan_iter(match=f"{short.redis_prefix}events:*")]
        assert left == []
        return True

    await eventually(empty, within=20.0)
    servers = [row["server"] for row in await short.postgres.fetch("select server from bookings where booked = 0")]
    assert servers == short.servers[:1]
