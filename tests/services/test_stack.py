"""The private services come back after a crash with what they promised, and keep strangers out."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aio_pika
import psycopg
import pytest
import redis.asyncio
from aiormq.exceptions import ChannelAccessRefused, ProbableAuthenticationError

from contracts.ids import BootId, MediaServerId
from services.bus.queues import declare_shared, kendra_commands, media_commands, replies
from services.cli.stack.errors import CannotRun
from services.cli.stack.ports import ServicePorts, free_ports
from services.cli.stack.postgres import Postgres
from services.cli.stack.private import PrivateServices
from services.cli.stack.rabbitmq import applications
from services.cli.stack.rundir import RunDirectory, outside
from services.testing.session import Session


@pytest.fixture(scope="module")
async def durable(session: Session) -> AsyncIterator[PrivateServices]:
    """Durable services as `up` starts them, in a place of their own."""
    with session.place("durable") as place:
        run = RunDirectory(place)
        run.hold()
        services = PrivateServices(run, ServicePorts.free(), durable=True, given={})
        await services.start()
        yield services
        await services.stop()
        run.release()


async def test_postgres_keeps_what_was_committed_before_it_was_killed(durable: PrivateServices) -> None:
    assert durable.postgres is not None
    with psycopg.connect(durable.addresses("tool").postgres) as connection:
        connection.execute("create table kept as select generate_series(1, 1000) as number")
    await durable.postgres.kill()
    await durable.postgres.start()
    with psycopg.connect(durable.addresses("kendra").postgres) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (1000,)
        assert connection.execute("show fsync").fetchone() == ("on",)


async def test_rabbitmq_keeps_confirmed_persistent_messages_when_it_is_killed(durable: PrivateServices) -> None:
    assert durable.rabbitmq is not None
    url = durable.rabbitmq.url("administrator")
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        await channel.declare_queue("kept", durable=True)
    await durable.rabbitmq.stop()  # Mnesia writes a new queue's own record down some time after it confirmed it
    await durable.rabbitmq.start()
    async with await aio_pika.connect(url) as connection, connection.channel(publisher_confirms=True) as channel:
        for number in range(50):
            message = aio_pika.Message(str(number).encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await channel.default_exchange.publish(message, "kept")
    await durable.rabbitmq.kill()
    await durable.rabbitmq.start()
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        queue = await channel.get_queue("kept")
        bodies = [(await queue.get(no_ack=True, timeout=5)).body for _ in range(50)]
    assert bodies == [str(number).encode() for number in range(50)]


async def test_redis_keeps_its_streams_when_it_is_killed(durable: PrivateServices) -> None:
    assert durable.redis is not None
    client = redis.asyncio.from_url(durable.addresses("kendra").redis)
    for number in range(1, 101, 2):
        async with client.pipeline(transaction=True) as run:  # as the relay's script appends a run of events
            run.xadd("events:{kept}", {"n": number}, id=f"{number}-0")
            run.xadd("events:{kept}", {"n": number + 1}, id=f"{number + 1}-0")
            await run.execute()
    administrator = redis.asyncio.from_url(durable.addresses("tool").redis)
    async with asyncio.timeout(10):
        while (await administrator.info("persistence"))["aof_pending_bio_fsync"]:
            await asyncio.sleep(0.01)
    await client.aclose()
    await administrator.aclose()
    await durable.redis.kill()
    await durable.redis.start()
    client = redis.asyncio.from_url(durable.addresses("gateway").redis)
    assert await client.xlen("events:{kept}") == 100
    await client.aclose()


async def test_nobody_gets_in_without_a_password(durable: PrivateServices) -> None:
    assert durable.postgres is not None
    assert durable.rabbitmq is not None
    assert durable.redis is not None
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{durable.postgres.port}/doordarshan")
    with pytest.raises(ProbableAuthenticationError):
        await aio_pika.connect(f"amqp://guest:guest@127.0.0.1:{durable.rabbitmq.port}/")
    client = redis.asyncio.from_url(f"redis://127.0.0.1:{durable.redis.port}")
    with pytest.raises(redis.exceptions.AuthenticationError):
        await client.ping()
    await client.aclose()


async def test_everything_listens_on_loopback_only(durable: PrivateServices) -> None:
    listening = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
    ours = {str(service.port) for service in durable.all}
    addresses = {line.split()[3].rpartition(":") for line in listening.splitlines()}
    assert {address for address, _, port in addresses if port in ours} == {"127.0.0.1"}


async def test_a_role_reads_and_writes_rows_but_changes_no_table(durable: PrivateServices) -> None:
    with psycopg.connect(durable.addresses("tool").postgres) as connection:
        connection.execute("create table rows_only (n int)")
    with psycopg.connect(durable.addresses("media").postgres, autocommit=True) as connection:
        connection.execute("insert into rows_only values (1)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("drop table rows_only")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("create table another (n int)")


@pytest.mark.parametrize(
    ("user", "queue"),
    [
        ("gateway", "kendra.commands"),
        ("media", "kendra.commands"),
        ("tool", "reply.gateway.x"),
        ("kendra", "media.a.b.commands"),
    ],
)
async def test_a_broker_user_cannot_read_a_queue_that_is_not_its_own(
    durable: PrivateServices, user: str, queue: str
) -> None:
    assert durable.rabbitmq is not None
    async with await aio_pika.connect(durable.rabbitmq.url(user)) as connection:
        channel = await connection.channel()
        with pytest.raises(ChannelAccessRefused):
            await channel.declare_queue(queue, durable=True)


async def test_each_broker_user_can_make_what_the_bus_gives_it(durable: PrivateServices) -> None:
    assert durable.rabbitmq is not None
    own = {
        "kendra": [kendra_commands(), replies("kendra", "k1")],
        "media": [media_commands(MediaServerId("m1"), BootId("b1")), replies("media_server", "m1")],
        "gateway": [replies("gateway", "g1")],
        "tool": [replies("tool", "t1")],
    }
    for user, queues in own.items():
        async with await aio_pika.connect_robust(durable.rabbitmq.url(user)) as connection:
            channel = await connection.channel()
            if user in ("kendra", "media"):
                await declare_shared(channel)
            for queue in queues:
                await queue.declare(channel)
                await (await channel.get_queue(queue.name)).consume(_ignore)


async def _ignore(_: object) -> None:
    """Take a message."""


def test_the_broker_boots_with_what_it_needs_and_no_plugin(tmp_path: Path) -> None:
    for name, needs in {
        "rabbit-4.1.0": "kernel,ra,rabbit_common",
        "ra-2.1": "kernel",
        "rabbit_common-4.1.0": "jsx",
        "rabbitmq_prelaunch-4.1.0": "rabbit_common",
        "rabbitmq_mqtt-4.1.0": "rabbit",
        "jsx-3.0": "",
    }.items():
        application = name.partition("-")[0]
        (tmp_path / name / "ebin").mkdir(parents=True)
        text = f"{{application, {application}, [{{applications, [{needs}]}}]}}."
        (tmp_path / name / "ebin" / f"{application}.app").write_text(text)
    found = [application.name for application in applications(tmp_path)]
    assert found == ["jsx-3.0", "ra-2.1", "rabbit-4.1.0", "rabbit_common-4.1.0", "rabbitmq_prelaunch-4.1.0"]


async def test_postgres_keeps_its_data_elsewhere_when_its_user_cannot_reach_the_checkout(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    run = RunDirectory(tmp_path / "run")
    postgres = Postgres(run, free_ports(1)[0], durable=False)
    if os.getuid() == 0:
        assert postgres.elsewhere is not None
        assert postgres.elsewhere.parent.parent == Path("/var/tmp")
    else:
        assert postgres.elsewhere is None
    await postgres.start()
    with psycopg.connect(postgres.url()) as connection:
        assert connection.execute("show fsync").fetchone() == ("off",)
    await postgres.stop()
    shutil.rmtree(tmp_path / "run")  # as `make clean` does: the passwords are gone
    again = Postgres(RunDirectory(tmp_path / "run"), postgres.port, durable=False)
    await again.start()
    psycopg.connect(again.url()).close()
    await again.stop()
    if postgres.elsewhere is not None:
        shutil.rmtree(postgres.elsewhere.parent)


def test_a_strangers_directory_in_var_tmp_is_not_taken(tmp_path: Path) -> None:
    place = outside(tmp_path)
    place.chmod(0o777)
    with pytest.raises(CannotRun, match="not this user's own"):
        outside(tmp_path)
    place.rmdir()
