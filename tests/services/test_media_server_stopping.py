"""A clean stop: what runs ends, nothing is left, and it is over within 10 s whatever is away. And the end of the lease, in the line."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import pytest

from contracts.failure import DeadlineExceeded, KendraError, MediaServerUnavailable, Unavailable
from contracts.join_meeting import GetRouterCapabilities
from services.bus import NobodyThere
from services.media_server.main import MediaServer, open_workers
from services.media_server.settings import Settings
from services.testing.eventually import eventually
from services.testing.session import Broker, Session
from tests.services.bus_peers import Line
from tests.services.media_server_peers import SERVER, Meeting, Stage, staged
from tests.services.test_media_server_once import Slowly, waits_for_a_lock


@pytest.fixture(scope="module")
async def stage(session: Session, rabbitmq: Broker) -> AsyncIterator[Stage]:
    async with session.database() as database, staged(database, rabbitmq) as opened:
        yield opened


async def busily(meeting: Meeting, seat: int) -> list[str | KendraError]:
    """Produce again and again until refused; return what each command came to."""
    outcomes: list[str | KendraError] = []
    transport = await meeting.transport("send", f"person-{seat}", seat)
    while not outcomes or isinstance(outcomes[-1], str):
        try:
            number = 1_000 * seat + len(outcomes)
            outcomes.append(await meeting.produce(transport.id, f"person-{seat}", seat, number=number, budget=1.5))
        except KendraError as error:
            outcomes.append(error)
    return outcomes


async def test_a_busy_server_finishes_what_runs_and_leaves_nothing(stage: Stage) -> None:
    server = await stage.start()
    ports = [worker.port for worker in server.world.workers]
    meetings = [await stage.meeting(server) for _ in range(4)]
    acting = [asyncio.create_task(busily(meeting, seat)) for meeting in meetings for seat in (1, 2)]
    await asyncio.gather(*(eventually(lambda meeting=meeting: _told(meeting, 4)) for meeting in meetings))
    began = time.monotonic()
    await server.stop()
    assert time.monotonic() - began < 5
    outcomes = [await one for one in acting]
    for refusal in (outcome[-1] for outcome in outcomes):
        assert isinstance(refusal, MediaServerUnavailable), "each command was answered"
    made = {id for outcome in outcomes for id in outcome if isinstance(id, str)}
    told = [
        body["producerId"]
        for meeting in meetings
        for type, _, body in await meeting.events()
        if type == "ProducerCreated"
    ]
    assert sorted(made) == sorted(told), "what was answered was written, and the other way round"
    assert await stage.written(server) == set()
    assert await stage.rows.fetchval("select count(*) from media_servers") == 0
    with pytest.raises(NobodyThere):
        await meetings[0].ask(GetRouterCapabilities(), None)
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", port))


async def _told(meeting: Meeting, count: int) -> bool:
    return len(await meeting.types()) >= count


async def test_it_is_over_within_ten_seconds_with_neither_broker_nor_database(stage: Stage) -> None:
    broker, database = Line(stage.broker.of["media"]), Line(stage.database.of["media"])
    async with broker.laid() as amqp_url, database.laid() as postgres_url:
        settings = Settings(server=SERVER, amqp_url=amqp_url, postgres_url=postgres_url, media_port=0, admin_port=0)
        server = MediaServer(settings, await open_workers(settings))
        running = asyncio.create_task(server.run())
        await eventually(lambda: _ready(server))
        meeting = await stage.meeting(server)
        transport = await meeting.transport("send")
        database.stall()
        waiting = asyncio.create_task(meeting.produce(transport.id, budget=1.5))
        await eventually(lambda: _runs(server))
        broker.stall()
        began = time.monotonic()
        server.stopping.set()
        assert await running == 0
        assert time.monotonic() - began < 10
        with pytest.raises((DeadlineExceeded, Unavailable)):
            await waiting
        assert all(worker.closed for worker in server.world.workers)
    await stage.rows.execute("delete from allocations")
    await stage.rows.execute("delete from media_servers")


async def _ready(server: MediaServer) -> bool:
    return server.world.lease.holds(time.monotonic())


async def _runs(server: MediaServer) -> bool:
    return not server._lines._empty.is_set()


async def test_a_command_whose_turn_comes_after_the_lease_is_refused_and_does_nothing(stage: Stage) -> None:
    """As for a process that stood still: what waited in it is not carried out when it wakes up."""
    server = await stage.start()
    meeting = await stage.meeting(server)
    transport = await meeting.transport("send")
    async with Slowly(meeting):
        first = asyncio.create_task(meeting.produce(transport.id))
        await waits_for_a_lock(meeting)
        second = asyncio.create_task(meeting.produce(transport.id, number=1))
        await eventually(lambda: _waits(server, 2))
        server.world.lease._sent -= 60
    await first
    with pytest.raises(MediaServerUnavailable):
        await second
    assert await meeting.types() == ["ProducerCreated"]
    await server.stop()


async def _waits(server: MediaServer, count: int) -> bool:
    return len(server.world.once._flights) == count


async def test_a_stop_in_the_middle_of_a_start_that_waits_for_the_broker_ends(stage: Stage) -> None:
    settings = Settings(
        server=SERVER, amqp_url="amqp://a:b@127.0.0.1:1/", postgres_url=stage.database.of["media"], media_port=0
    )
    server = MediaServer(settings, await open_workers(settings))
    running = asyncio.create_task(server.run())
    await eventually(lambda: _listens(server))
    server.stopping.set()
    async with asyncio.timeout(5):
        assert await running == 0


async def _listens(server: MediaServer) -> bool:
    return server.admin.port != 0
