"""A media server's life: start, lease, stop, and what the next boot makes of what the last one left."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import httpx2
import pytest
from prometheus_client import CollectorRegistry
from yarl import URL

from contracts.failure import MediaServerUnavailable, StaleEpoch
from contracts.ids import BootId, MediaServerId
from contracts.join_meeting import GetRouterCapabilities
from services.bus import KENDRA_COMMANDS, NobodyThere
from services.cli.stack.ports import free_ports
from services.media_server.burial import bury_earlier_boots
from services.media_server.main import MediaServer, open_workers
from services.media_server.metrics import Live
from services.media_server.settings import STREAMS_PER_WORKER, Settings
from services.media_server.store import Boots
from services.media_server.store import Database as Rows
from services.stopping import cancelled
from services.testing.session import Broker, Database
from sfu.plane.seat import IceLost
from sfu.worker import default_plane
from tests.eventually import eventually
from tests.services.bus_peers import Line
from tests.services.media_server_peers import SERVER, TENANT, Meeting, Stage, staged


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker) -> AsyncIterator[Stage]:
    async with staged(postgres, rabbitmq) as opened:
        yield opened


@pytest.fixture
async def server(stage: Stage) -> AsyncIterator[MediaServer]:
    started = await stage.start()
    yield started
    await started.stop()


async def count(stage: Stage, table: str, **where: Any) -> int:
    conditions = " and ".join(f"{column} = ${number}" for number, column in enumerate(where, 1)) or "true"
    return int(await stage.rows.fetchval(f"select count(*) from {table} where {conditions}", *where.values()))  # noqa: S608


async def crash(server: MediaServer) -> None:
    """End a server as kill -9 does, as far as one process can: nothing is written, nobody is told."""
    await cancelled(server._tasks)
    await server._database.close()
    await server._lease_database.close()
    assert server._serving
    assert server._bus
    await server._serving.stop(within=0)
    await server._bus.stop()
    for worker in server.world.workers:
        await worker.close()
    await server.admin.stop()


async def test_a_start_registers_the_boot_its_workers_and_its_lease(stage: Stage, server: MediaServer) -> None:
    row = await stage.rows.fetchrow(
        "select *, clock_timestamp() - renewed_at as age from media_servers where boot = $1", server.boot
    )
    assert (row["server"], row["address"], row["capacity"]) == ("ms1", "127.0.0.1", STREAMS_PER_WORKER[default_plane()])
    assert row["age"].total_seconds() < 5
    assert await eventually(lambda: count(stage, "workers", boot=server.boot)) == 1


async def test_the_load_is_reported(stage: Stage, server: MediaServer) -> None:
    meeting = await stage.meeting(server)
    transport = await meeting.transport("send")
    await meeting.produce(transport.id)

    async def reported() -> bool:
        return bool(
            await stage.rows.fetchval("select streams = 1 and cpu > 0 from media_servers where boot = $1", server.boot)
        )

    assert await eventually(reported)


async def test_the_metrics_count_what_is_in_memory(stage: Stage, server: MediaServer) -> None:
    meeting = await stage.meeting(server)
    transport = await meeting.transport("send")
    producer = await meeting.produce(transport.id)
    await meeting.transport("recv", "bob", 2)
    await meeting.consume(producer)
    registry = CollectorRegistry()
    registry.register(Live(server.world.registry, server.world.workers))
    counted = {
        noun: registry.get_sample_value(f"doordarshan_media_{noun}")
        for noun in ("routers", "transports", "producers", "consumers")
    }
    assert counted == {"routers": 1, "transports": 2, "producers": 1, "consumers": 1}
    assert registry.get_sample_value("doordarshan_media_packets_sent_total", {"worker": "worker-0"}) == 0
    assert registry.get_sample_value("doordarshan_media_streams", {"worker": "worker-0"}) == 2
    assert registry.get_sample_value("doordarshan_media_workers") == 1
    cpu = registry.get_sample_value("doordarshan_media_worker_cpu_seconds_total", {"worker": "worker-0"})
    assert cpu is None if default_plane() == "reference" else cpu > 0, "only a thread of its own has a time of its own"


async def test_a_clean_stop_leaves_no_row_and_no_queue_and_the_telling_to_kendra(stage: Stage) -> None:
    server = await stage.start()
    meeting = await stage.meeting(server)
    transport = await meeting.transport("send")
    await meeting.produce(transport.id)
    await server.stop()
    assert await stage.written(server) == set()
    assert await count(stage, "media_servers") == 0
    assert await meeting.types() == ["ProducerCreated"]
    asked = time.monotonic()
    with pytest.raises(NobodyThere):
        await meeting.ask(GetRouterCapabilities(), None)
    assert time.monotonic() - asked < 0.15, "three times the goal"


async def test_a_start_buries_what_an_earlier_boot_left_and_leaves_the_telling_to_kendra(stage: Stage) -> None:
    server = await stage.start()
    meeting = await stage.meeting(server)
    transport = await meeting.transport("send")
    producer = await meeting.produce(transport.id)
    await meeting.transport("recv", "bob", 2)
    await meeting.consume(producer)
    elsewhere = await stage.meeting(server)
    await elsewhere.transport("send")
    await elsewhere.wants(None)
    await crash(server)
    assert await stage.written(server)
    again = await stage.start()
    assert await stage.written(server) == set()
    assert await count(stage, "media_servers", boot=server.boot) == 0
    assert await meeting.types() == ["ProducerCreated"]
    assert await elsewhere.types() == []
    await meeting.wants(again)
    with pytest.raises(StaleEpoch):
        await meeting.ask(GetRouterCapabilities(), None)
    await again.stop()


async def test_a_start_that_was_overtaken_by_another_buries_nothing_of_the_newer_boot(stage: Stage) -> None:
    """Two processes of one name start side by side: the older one finds the newer as if it were an earlier boot."""
    newer = await stage.start()
    meeting = await stage.meeting(newer)
    await meeting.transport("send")
    database = Rows.open(stage.database.of["media"], MediaServerId(SERVER), BootId("overtaken"))
    await database.start()
    boots = Boots(database)
    await boots.register("127.0.0.1", 10, 1e9)
    await stage.rows.execute(
        "update media_servers set started_at = now() - interval '1 minute' where boot = 'overtaken'"
    )
    await bury_earlier_boots(boots, 5.0)
    assert len(await stage.agree(newer)) == 2
    assert await meeting.types() == []
    await boots.unregister()
    await database.close()
    await newer.stop()


async def test_kendra_is_told_of_events_that_no_command_asked_for(stage: Stage, server: MediaServer) -> None:
    connection = await aio_pika.connect(stage.broker.url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(
            KENDRA_COMMANDS, durable=True, arguments={"x-dead-letter-exchange": "dead", "x-queue-type": "classic"}
        )
        meeting = await stage.meeting(server)
        transport = await meeting.transport("send")
        room = server.world.registry.rooms[TENANT, meeting.id]
        room.transports[transport.id].media.plane_event(IceLost(transport.id))
        notice = await eventually(lambda: queue.get(fail=False, no_ack=True))
        assert (notice.type, notice.headers["meeting"]) == ("RelayEvents", meeting.id)
        await queue.delete()


async def test_commands_are_refused_while_the_lease_was_not_renewed_and_media_stays(stage: Stage) -> None:
    server = await stage.start(lease=1.5, heartbeat=0.2)
    meeting = await stage.meeting(server)
    await meeting.transport("send")
    await stage.rows.execute("create rule nothing as on update to media_servers do instead select 1/0")
    assert await eventually(lambda: _unavailable(meeting))
    assert len(server.world.registry.rooms[TENANT, meeting.id].transports) == 1
    await stage.rows.execute("drop rule nothing on media_servers")
    assert await eventually(lambda: _answers(meeting))
    await server.stop()


async def test_a_server_that_the_broker_cannot_reach_lets_its_lease_run_out_and_takes_it_up_again(stage: Stage) -> None:
    (port,) = free_ports(1)
    line = Line(stage.broker.of["media"])
    async with line.laid(port) as url:
        server = await stage.start(unheard=0.5, amqp_url=url)
    assert await eventually(lambda: _renewed_ago(stage, server, "> interval '2 s'"), within=10)
    async with line.laid(port):
        assert await eventually(lambda: _renewed_ago(stage, server, "< interval '1 s'"), within=10)
        await server.stop()


async def test_without_the_broker_it_still_hears_that_its_meetings_moved_and_that_it_was_buried(stage: Stage) -> None:
    (port,) = free_ports(1)
    async with Line(stage.broker.of["media"]).laid(port) as url:
        server = await stage.start(unheard=0.5, heartbeat=0.2, amqp_url=url)
        meeting = await stage.meeting(server)
        await meeting.transport("send")
    assert await eventually(lambda: _renewed_ago(stage, server, "> interval '2 s'"), within=10)
    await meeting.wants(None)
    assert await eventually(lambda: _empty(server))
    await stage.rows.execute("select bury_boot($1, $2, interval '0')", SERVER, server.boot)
    await asyncio.wait_for(server.stopping.wait(), 5)
    await server.stop()


async def _empty(server: MediaServer) -> bool:
    return not server.world.registry.rooms


async def test_a_renewal_that_hits_no_row_ends_the_process(stage: Stage) -> None:
    server = await stage.start()
    running = asyncio.create_task(server.stopping.wait())
    await stage.rows.execute("delete from media_servers where boot = $1", server.boot)
    await asyncio.wait_for(running, 5)
    assert server.failed
    await server.stop()


async def test_one_that_was_buried_refuses_at_once_and_forwards_until_its_clients_are_gone(stage: Stage) -> None:
    server = await stage.start(heartbeat=0.2)
    meeting = await stage.meeting(server)
    transport = await meeting.transport("send")
    await stage.rows.execute("select bury_boot($1, $2, interval '0')", SERVER, server.boot)
    assert await eventually(lambda: _unavailable(meeting), within=2)
    room = server.world.registry.rooms[TENANT, meeting.id]
    assert not room.transports[transport.id].media.closed
    assert not server.stopping.is_set()
    room.transports[transport.id].media.plane_event(IceLost(transport.id))
    await asyncio.wait_for(server.stopping.wait(), 2)
    assert server.failed
    assert all(worker.closed for worker in server.world.workers)
    assert await stage.written(server) == set()
    await server.stop()


async def test_a_boot_that_another_one_replaced_ends(stage: Stage) -> None:
    first = await stage.start()
    second = await stage.start()
    await asyncio.wait_for(first.stopping.wait(), 5)
    assert first.failed
    assert not second.stopping.is_set()
    await first.stop()
    await second.stop()


@pytest.mark.parametrize("missing", ["broker", "database"])
async def test_what_is_away_at_the_start_is_waited_for(stage: Stage, missing: str) -> None:
    urls = {"broker": stage.broker.of["media"], "database": stage.database.of["media"]}
    (port,) = free_ports(1)
    away = urls | {missing: str(URL(urls[missing]).with_host("127.0.0.1").with_port(port))}
    settings = Settings(
        server="ms1", postgres_url=away["database"], amqp_url=away["broker"], media_port=0, admin_port=0
    )
    server = MediaServer(settings, await open_workers(settings))
    running = asyncio.create_task(server.run())
    async with httpx2.AsyncClient() as http:

        async def answers(path: str, status: int) -> bool:
            return (await http.get(f"http://127.0.0.1:{server.admin.port}{path}")).status_code == status

        assert await eventually(lambda: _listens(server))
        assert await answers("/livez", 200)
        assert await answers("/readyz", 503)
        async with Line(urls[missing]).laid(port):
            assert await eventually(lambda: answers("/readyz", 200), within=15)
            assert (await stage.meeting(server)).id
            server.stopping.set()
            assert await running == 0


async def _listens(server: MediaServer) -> bool:
    return server.admin.port != 0


async def _renewed_ago(stage: Stage, server: MediaServer, compared: str) -> bool:
    query = f"select clock_timestamp() - renewed_at {compared} from media_servers where boot = $1"  # noqa: S608
    return bool(await stage.rows.fetchval(query, server.boot))


async def _unavailable(meeting: Meeting) -> bool:
    try:
        await meeting.ask(GetRouterCapabilities(), None)
    except MediaServerUnavailable:
        return True
    return False


async def _answers(meeting: Meeting) -> bool:
    return not await _unavailable(meeting)
