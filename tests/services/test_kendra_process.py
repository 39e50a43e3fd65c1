"""A kendra as a process: it waits for what is away, says so, takes up work by itself, and stops cleanly."""

import asyncio
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import pytest

from contracts.failure import Unavailable
from services.cli.stack.ports import free_ports
from services.testing.session import Broker, Cache, Database
from tests.eventually import eventually
from tests.services.bus_peers import Line
from tests.services.kendra_peers import Stage, staged

RUN = "from services.kendra.main import run; run()"


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker, redis: Cache) -> AsyncIterator[Stage]:
    async with staged(postgres, rabbitmq, redis) as opened:
        yield opened


@asynccontextmanager
async def line(url: str, port: int) -> AsyncIterator[None]:
    """Let what knocks at `port` through to where the URL points."""
    far = urlsplit(url)
    ends: set[asyncio.StreamWriter] = set()

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
        sink.close()

    async def connect(near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        far_in, far_out = await asyncio.open_connection(far.hostname, far.port)
        ends.update({near_out, far_out})
        await asyncio.gather(copy(near_in, far_out), copy(far_in, near_out), return_exceptions=True)

    server = await asyncio.start_server(connect, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for end in ends:
            end.transport.abort()


def through(url: str, port: int) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}"))


@asynccontextmanager
async def process(admin: int, urls: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = os.environ | {f"DOORDARSHAN_{name}": url for name, url in urls.items()}
    environment |= {"DOORDARSHAN_ADMIN_PORT": str(admin)}
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", RUN, env=environment)
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def status(port: int, path: str) -> int:
    def get() -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return 0

    return await asyncio.to_thread(get)


async def _some_seats(stage: Stage, number: int) -> bool:
    return bool(await stage.rows.fetchval("select count(*) >= $1 from participants", number))


async def is_status(port: int, path: str, wanted: int) -> bool:
    return await status(port, path) == wanted


async def test_it_waits_for_what_is_away_and_takes_up_work_when_it_is_there(stage: Stage) -> None:
    admin, *ports = free_ports(4)
    services = {
        "POSTGRES_URL": stage.database.of["kendra"],
        "AMQP_URL": stage.broker.of["kendra"],
        "REDIS_URL": stage.cache.of["kendra"],
    }
    urls = {name: through(url, port) for (name, url), port in zip(services.items(), ports, strict=True)}
    async with AsyncExitStack() as lines, process(admin, urls) as child:
        await eventually(lambda: is_status(admin, "/livez", 200), within=15)
        assert await status(admin, "/readyz") == 503
        for url, port in zip(services.values(), ports, strict=True):
            await lines.enter_async_context(line(url, port))
        await eventually(lambda: is_status(admin, "/readyz", 200), within=15)
        await stage.server("ms1")
        assert (await stage.create("standup")).epoch == 1
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await child.wait() == 0


async def test_it_stops_cleanly_while_nothing_is_there(stage: Stage) -> None:
    admin, away = free_ports(2)
    addresses = {
        "POSTGRES_URL": stage.database.of["kendra"],
        "AMQP_URL": stage.broker.url,
        "REDIS_URL": stage.cache.url,
    }
    async with process(admin, {name: through(url, away) for name, url in addresses.items()}) as child:
        await eventually(lambda: is_status(admin, "/livez", 200), within=15)
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await child.wait() == 0


async def test_its_stop_is_over_within_ten_seconds_although_nothing_answers_any_more(stage: Stage) -> None:
    addresses = {
        "POSTGRES_URL": stage.database.of["kendra"],
        "AMQP_URL": stage.broker.of["kendra"],
        "REDIS_URL": stage.cache.url,
    }
    lines = {name: Line(url) for name, url in addresses.items()}
    (admin,) = free_ports(1)
    async with AsyncExitStack() as laid:
        near = {name: await laid.enter_async_context(line.laid()) for name, line in lines.items()}
        child = await laid.enter_async_context(process(admin, near))
        await eventually(lambda: is_status(admin, "/readyz", 200), within=25)
        for line in lines.values():
            line.stall()
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await child.wait() == 0


async def test_its_stop_is_over_within_ten_seconds_although_it_still_waits_for_the_brokers_first_word(
    stage: Stage,
) -> None:
    broker = Line(stage.broker.of["kendra"])
    broker.stall()
    (admin,) = free_ports(1)
    async with broker.laid() as url:
        urls = {"POSTGRES_URL": stage.database.of["kendra"], "AMQP_URL": url, "REDIS_URL": stage.cache.url}
        async with process(admin, urls) as child:
            await eventually(broker.used, within=25)
            child.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                assert await child.wait() == 0


async def test_what_a_killed_kendra_left_undone_ends_in_the_same_state_when_it_is_repeated(stage: Stage) -> None:
    urls = {
        "POSTGRES_URL": stage.database.of["kendra"],
        "AMQP_URL": stage.broker.of["kendra"],
        "REDIS_URL": stage.cache.of["kendra"],
        "REDIS_PREFIX": stage.cache.prefix,
    }
    await stage.server("ms1", 100_000)
    await stage.server("ms2", 100_000)
    commands = [(f"m{number % 10}", f"p{number}", uuid4(), uuid4()) for number in range(60)]

    async def create_and_join(meeting: str, participant: str, create: UUID, join: UUID) -> int:
        await stage.create(meeting, participants=50, id=create)
        return (await stage.join(meeting, participant, id=join)).seat

    async def all_of_them() -> list[int | BaseException]:
        return await asyncio.gather(*(create_and_join(*one) for one in commands), return_exceptions=True)

    admins = free_ports(2)
    async with process(admins[0], urls) as victim, process(admins[1], urls):
        for admin in admins:
            await eventually(partial(is_status, admin, "/readyz", 200), within=20)
        first = asyncio.create_task(all_of_them())
        await eventually(partial(_some_seats, stage, 10))
        victim.kill()
        first_answers, answers = await first, await all_of_them()
    assert not [one for one in answers if isinstance(one, BaseException)]
    for before, after in zip(first_answers, answers, strict=True):
        assert isinstance(before, BaseException) or before == after
    for number in range(10):
        sequences = [sequence for sequence, _ in await stage.events(f"m{number}")]
        assert sequences == list(range(1, 1 + len(sequences)))
    assert await stage.rows.fetchval("select count(*) from participants where left_at is null") == 60
    assert await stage.rows.fetchval("select count(*) from allocations") == 10
    assert await stage.rows.fetchval("select sum(booked) from bookings") == 10 * 50 * 4


async def test_while_the_database_is_away_a_command_is_refused_at_once_and_later_carried_out(stage: Stage) -> None:
    (port,) = free_ports(1)
    await stage.server("ms1")
    async with line(stage.database.url, port):
        await stage.kendra(postgres_url=through(stage.database.of["kendra"], port))
        assert (await stage.create("standup")).epoch == 1
    with pytest.raises(Unavailable):
        await stage.create("retro")
    async with line(stage.database.url, port):
        assert (await stage.create("retro")).epoch == 1


async def test_while_redis_is_away_calls_succeed_and_events_go_later(stage: Stage) -> None:
    (port,) = free_ports(1)
    await stage.server("ms1")
    await stage.kendra(redis_url=through(stage.cache.of["kendra"], port))
    await stage.create("standup")
    await stage.join("standup", "asha")
    assert await stage.stream("standup") == []
    async with line(stage.cache.url, port):
        await stage.relayed("standup")
