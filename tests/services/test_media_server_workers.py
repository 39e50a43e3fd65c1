"""A worker that dies: it is started again, kendra is told which routers are lost until their meetings moved, the others go on."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import pytest

from contracts.create_meeting import AllocateRouter
from contracts.failure import MediaServerUnavailable
from contracts.join_meeting import GetRouterCapabilities
from contracts.live import RoutersLost
from contracts.meeting import Capacity
from services.bus import KENDRA_COMMANDS
from services.cli.stack.ports import free_run
from services.media_server.main import MediaServer
from services.media_server.metrics import DEATHS, STUCK
from services.media_server.settings import Settings
from services.media_server.workers import MOST_DEATHS, Deaths
from services.testing.session import Broker, Session
from sfu.plane import native
from sfu.plane.native import NativePlane
from sfu.worker import PLANES, Worker
from tests.eventually import eventually
from tests.services.media_server_peers import Meeting, Stage, staged

ALLOCATE = AllocateRouter(capacity=Capacity(participants=80, producers=20))


@pytest.fixture(scope="module", autouse=True)
def several_workers() -> Iterator[None]:
    """Where there is no native plane the reference plane goes by its name: alone it would be one worker."""
    with pytest.MonkeyPatch.context() as patched:
        if native.missing():
            patched.setattr(native, "_broken", "")
            patched.setitem(PLANES, "native", PLANES["reference"])
        yield


@pytest.fixture(scope="module")
async def stage(session: Session, rabbitmq: Broker) -> AsyncIterator[Stage]:
    async with session.database() as database, staged(database, rabbitmq) as opened:
        yield opened


@pytest.fixture
async def server(stage: Stage) -> AsyncIterator[MediaServer]:
    """A server with two workers, whose allocations nobody wants are looked for often."""
    async with running(stage, plane="native", workers=2, heartbeat=0.2) as started:
        yield started


@asynccontextmanager
async def running(stage: Stage, **settings: Any) -> AsyncIterator[MediaServer]:
    started = await stage.start(**settings)
    try:
        yield started
    finally:
        await started.stop()


@asynccontextmanager
async def kendra_hears(stage: Stage) -> AsyncIterator[list[RoutersLost]]:
    """Collect the notices of lost routers in kendra's place."""
    heard: list[RoutersLost] = []

    async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        if message.type == "RoutersLost":
            heard.append(RoutersLost.model_validate_json(message.body))

    async with await aio_pika.connect(stage.broker.url) as connection:
        channel = await connection.channel()
        arguments = {"x-dead-letter-exchange": "dead", "x-queue-type": "classic"}
        queue = await channel.declare_queue(KENDRA_COMMANDS, durable=True, arguments=arguments)
        await queue.consume(take, no_ack=True)
        yield heard
        await queue.delete(if_unused=False, if_empty=False)


async def two_meetings(stage: Stage, server: MediaServer) -> tuple[Meeting, Meeting]:
    """Return a meeting of each worker, with something sent in both."""
    meetings = [await stage.meeting(server) for _ in range(2)]
    for meeting in meetings:
        transport = await meeting.transport("send")
        await meeting.produce(transport.id)
    rooms = server.world.registry.rooms
    assert {rooms["acme", meeting.id].router.worker.id for meeting in meetings} == {"worker-0", "worker-1"}
    first, second = sorted(meetings, key=lambda meeting: rooms["acme", meeting.id].router.worker.id)
    return first, second


def killed(worker: Worker) -> None:
    """Let a worker die, by a real panic where its plane can have one."""
    if isinstance(worker.plane, NativePlane):
        worker.plane.panic()
    else:
        worker.die(RuntimeError("the plane is gone"))


async def test_a_meeting_goes_to_the_worker_that_is_booked_least_though_nobody_sends_yet(
    stage: Stage, server: MediaServer
) -> None:
    meetings = [await stage.meeting(server, participants) for participants in (50, 20, 20, 20, 1)]
    rooms = server.world.registry.rooms
    first, *others = (rooms["acme", meeting.id].router.worker.id for meeting in meetings)
    assert others[:2] == [others[0]] * 2 != [first] * 2
    assert others[2] == others[0], "800 are less than 1,000"
    assert others[3] == first, "1,200 are more"


async def test_only_its_meetings_are_lost_and_told_of_until_they_moved(stage: Stage, server: MediaServer) -> None:
    lost, other = await two_meetings(stage, server)
    router = server.world.registry.rooms["acme", lost.id].router.id
    kept = await stage.live(server)
    async with kendra_hears(stage) as heard:
        killed(server.world.workers[0])
        await eventually(lambda: _true(len(heard) >= 3))
        told = {(one.meeting_id, one.epoch, one.router_id) for notice in heard for one in notice.routers}
        assert told == {(lost.id, lost.epoch, router)}
        assert await other.transport("recv")
        assert {router} < kept - await stage.live(server)
        assert await stage.rows.fetchval("select count(*) from allocations where router = $1", router) == 1
        await lost.wants(server)
        await lost.ask(ALLOCATE, None)
        count = len(heard)
        await eventually(lambda: _true(not server.world.registry.lost))
    assert len(heard) <= count + 1
    assert await lost.transport("send")
    assert await stage.agree(server)
    assert not server.stopping.is_set()


async def test_the_meeting_may_move_elsewhere_and_nothing_is_left_here(stage: Stage, server: MediaServer) -> None:
    lost, other = await two_meetings(stage, server)
    server.world.workers[0].die(RuntimeError("the plane is gone"))
    await lost.wants(None)
    await eventually(lambda: _true(not server.world.registry.lost))

    async def left() -> list[str]:
        rows = await stage.rows.fetch("select distinct meeting from allocations where boot = $1", server.boot)
        return [row["meeting"] for row in rows]

    async def only_the_other() -> bool:
        return await left() == [other.id]

    await eventually(only_the_other)
    assert await lost.types() == ["ProducerCreated"], "its epoch is over: nobody is told of it"


async def test_a_lost_router_is_unavailable_and_never_made_again_at_its_epoch(
    stage: Stage, server: MediaServer
) -> None:
    lost, _ = await two_meetings(stage, server)
    id = lost.call().command_id
    transport = await lost.transport("recv", id=id)
    server.world.workers[0].die(RuntimeError("the plane is gone"))
    for order in (ALLOCATE, GetRouterCapabilities()):
        with pytest.raises(MediaServerUnavailable):
            await lost.ask(order, None)
    with pytest.raises(MediaServerUnavailable):
        await lost.transport("recv", id=id)
    assert transport.id not in await stage.live(server)


async def test_it_runs_again_on_its_own_port(stage: Stage, server: MediaServer) -> None:
    await two_meetings(stage, server)
    dead, other = server.world.workers
    died = time.monotonic()
    dead.die(RuntimeError("the plane is gone"))
    assert server.world.workers == [other]
    await eventually(lambda: _true(len(server.world.workers) == 2))
    assert time.monotonic() - died < 1.0
    again = server.world.workers[1]
    assert (again.id, again.port) == (dead.id, dead.port)
    assert dead.closed


async def test_without_a_worker_no_router_is_made_and_with_one_again_it_is(stage: Stage) -> None:
    port = free_run(1)
    async with running(stage, media_port=port) as server:
        meeting = await stage.meeting(server)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody_else:
            server.world.workers[0].die(RuntimeError("the plane is gone"))
            somebody_else.bind(("127.0.0.1", port))
            await meeting.wants(server)
            with pytest.raises(MediaServerUnavailable):
                await meeting.ask(ALLOCATE, None)
        await eventually(lambda: _true(bool(server.world.workers)))
        assert server.world.workers[0].port == port, "clients can reach the port that the operator named, and no other"
        await meeting.ask(ALLOCATE, None)


async def test_a_port_that_somebody_took_is_replaced_if_the_operator_named_none(stage: Stage) -> None:
    async with running(stage) as server:
        port = server.world.workers[0].port
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody_else:
            server.world.workers[0].die(RuntimeError("the plane is gone"))
            somebody_else.bind(("127.0.0.1", port))
            await eventually(lambda: _true(bool(server.world.workers)))
        assert server.world.workers[0].port != port


async def test_a_server_whose_workers_die_too_often_ends(stage: Stage) -> None:
    async with running(stage) as server:
        for _ in range(MOST_DEATHS):
            assert not server.failed
            await eventually(lambda: _true(bool(server.world.workers)))
            server.world.workers[0].die(RuntimeError("the plane is gone"))
        await asyncio.wait_for(server.stopping.wait(), 5)
        assert server.failed


async def test_one_that_stands_still_is_told_of_and_after_a_while_taken_for_dead(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = {"worker_watched": 0.05, "worker_stuck": 0.2, "worker_lost": 0.6}
    async with running(stage, plane="native", workers=2, heartbeat=0.2, **watched) as server:
        lost, other = await two_meetings(stage, server)
        stuck, well = server.world.workers
        was = [counter.labels(stuck.id)._value.get() for counter in (STUCK, DEATHS)]
        if isinstance(stuck.plane, NativePlane):
            stuck.plane.stall(3.0)
        else:
            monkeypatch.setattr(type(stuck.plane), "turns", lambda plane: 7 if plane is stuck.plane else None)
        await eventually(lambda: _true(STUCK.labels(stuck.id)._value.get() == was[0] + 1))
        assert stuck in server.world.workers, "it may go on"
        async with kendra_hears(stage) as heard:
            await eventually(lambda: _true(bool(heard)))
        assert {one.meeting_id for notice in heard for one in notice.routers} == {lost.id}
        assert DEATHS.labels(stuck.id)._value.get() == was[1] + 1
        await eventually(lambda: _true(len(server.world.workers) == 2))
        assert server.world.workers[0] is well
        again = server.world.workers[1]
        assert (again.id, again.port) == (stuck.id, stuck.port), "the port is free although the thread stands still"
        assert await other.transport("recv")
        await lost.wants(None)
        await eventually(lambda: _true(not server.world.registry.lost))


@pytest.mark.parametrize(
    ("settings", "workers"),
    [
        ({"plane": "reference"}, 1),
        ({"plane": "native"}, 6),
        ({"plane": "native", "media_port": 9000, "media_ports": 4}, 4),
        ({"plane": "native", "media_port": 65_534}, 2),
        ({"plane": "native", "workers": 9}, 9),
        ({"plane": "native", "workers": 1}, 1),
    ],
)
def test_there_are_as_many_as_cores_and_ports_unless_the_operator_says_how_many(
    settings: dict[str, Any], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.media_server.settings.cores", lambda: [2, 3, 5, 7, 11, 13])
    made = Settings(server="ms1", **settings)
    assert made.number_of_workers == workers
    assert made.streams == (1024 if settings["plane"] == "reference" else 2500 * workers)
    assert Settings(server="ms1", capacity=77, **settings).streams == 77
    assert made.usable_cores == (1 if settings["plane"] == "reference" else min(6, workers + 1))
    assert made.core_of(7) is None
    assert Settings(server="ms1", pin=True, **settings).core_of(7) == 3


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"plane": "reference", "workers": 2}, "the reference plane has one"),
        ({"plane": "silent", "workers": 2}, "the silent plane has one"),
        ({"plane": "native", "workers": 3, "media_port": 9000, "media_ports": 2}, "not so many ports from 9000 on"),
        ({"plane": "native", "workers": 3, "media_port": 65_534}, "not so many ports"),
    ],
)
def test_more_than_there_can_be_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Settings(server="ms1", **settings)


def test_a_native_plane_that_is_not_there_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_broken", "No module named 'packet_plane'")
    with pytest.raises(ValueError, match=r"no native plane here .No module.*make up builds it where cargo is"):
        Settings(server="ms1", plane="native")


def test_pauses_grow_with_the_deaths_of_the_last_minute() -> None:
    deaths = Deaths()
    assert [deaths.died(now) for now in (0.0, 1.0, 2.0, 3.0)] == [0.0, 0.2, 0.4, 0.8]
    assert deaths.died(70.0) == 0.0
    assert [deaths.died(now) for now in (71.0, 72.0, 73.0)] == [0.2, 0.4, 0.8]
    assert deaths.died(74.0) is None


async def _true(value: bool) -> bool:
    return value
