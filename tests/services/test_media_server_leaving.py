"""A meeting that a drain moved away: its old router forwards for a while, takes no order and tells nobody; a move without that ends it."""

import time
from collections.abc import AsyncIterator

import pytest

from contracts.create_meeting import AllocateRouter
from contracts.failure import StaleEpoch
from contracts.join_meeting import GetRouterCapabilities
from contracts.meeting import Capacity
from contracts.message import Command
from contracts.producers import PauseProducer
from contracts.transports import RestartIce
from services.media_server.main import MediaServer
from services.media_server.room import Room
from services.testing.session import Broker, Session
from sfu.plane.seat import IceLost
from tests.eventually import eventually
from tests.services.media_server_peers import SERVER, Meeting, Stage, staged

HEARTBEAT = 0.2


@pytest.fixture(scope="module")
async def stage(session: Session, rabbitmq: Broker) -> AsyncIterator[Stage]:
    async with session.database() as database, staged(database, rabbitmq) as opened:
        yield opened


@pytest.fixture(scope="module")
async def server(stage: Stage) -> AsyncIterator[MediaServer]:
    started = await stage.start(heartbeat=HEARTBEAT)
    yield started
    await started.stop()


@pytest.fixture
async def meeting(stage: Stage, server: MediaServer) -> AsyncIterator[Meeting]:
    yield await stage.meeting(server)
    await stage.end_meetings(server)


async def moved(meeting: Meeting, keep: float | None) -> Room:
    """Move the meeting to a server that is not here, as kendra does; return the room it leaves."""
    room = meeting.server.world.registry.rooms["acme", meeting.id]
    old = meeting.epoch
    await meeting.wants(None)
    await meeting.rows.execute(
        """update meetings set server = 'elsewhere', boot = 'b', kept_server = case when $3::float8 is null then null else $4 end,
           kept_boot = case when $3::float8 is null then null else $5 end,
           kept_epoch = case when $3::float8 is null then null else $2::bigint end,
           keep_until = clock_timestamp() + make_interval(secs => $3) where meeting = $1""",
        meeting.id,
        old,
        keep,
        SERVER,
        meeting.server.boot,
    )
    return room


async def leaving(room: Room) -> Room:
    async def left() -> bool:
        return room.leaving

    await eventually(left)
    return room


async def gone(room: Room) -> bool:
    return room.router.closed


async def test_it_forwards_on_takes_no_order_and_is_closed_when_its_time_is_over(
    stage: Stage, meeting: Meeting
) -> None:
    transport = await meeting.transport("send")
    producer = await meeting.produce(transport.id)
    told, old = await meeting.types(), meeting.epoch
    began = time.monotonic()
    room = await leaving(await moved(meeting, keep=1.5))
    assert not room.producers[producer].media.closed
    assert not room.producers[producer].media.paused
    orders: list[Command] = [GetRouterCapabilities(), RestartIce(transport_id=transport.id), PauseProducer(producer_id=producer)]  # type: ignore[type-arg]  # fmt: skip
    for order in orders:
        with pytest.raises(StaleEpoch):
            await meeting.ask(order, epoch=old)
    with pytest.raises(StaleEpoch):
        await meeting.transport("recv", epoch=old)
    assert not room.router.closed
    await eventually(lambda: gone(room))
    assert 1.0 < time.monotonic() - began < 2.5
    assert await stage.agree(meeting.server) == set()
    assert await meeting.types() == told


async def test_it_is_closed_as_soon_as_its_last_transport_is_gone_and_its_rows_go_with_each(
    stage: Stage, meeting: Meeting
) -> None:
    sending, receiving = await meeting.transport("send"), await meeting.transport("recv", "bob", 2)
    producer = await meeting.produce(sending.id)
    consumer = await meeting.consume(producer)
    told = await meeting.types()
    room = await leaving(await moved(meeting, keep=30))
    room.transports[sending.id].media.plane_event(IceLost(sending.id))
    assert await stage.agree(meeting.server) == {room.router.id, receiving.id}
    assert room.consumers.keys().isdisjoint({consumer.id})
    room.transports[receiving.id].media.plane_event(IceLost(receiving.id))
    await eventually(lambda: gone(room))
    assert await stage.agree(meeting.server) == set()
    assert await meeting.types() == told


async def test_one_that_nobody_uses_does_not_wait(stage: Stage, meeting: Meeting) -> None:
    room = await moved(meeting, keep=30)
    await eventually(lambda: gone(room))
    assert await stage.agree(meeting.server) == set()


async def test_its_time_ends_without_a_database_too(stage: Stage, meeting: Meeting) -> None:
    await meeting.transport("send")
    room = await leaving(await moved(meeting, keep=1.0))
    async with meeting.rows.acquire() as locked, locked.transaction():
        await locked.execute("lock table allocations, transports, meetings in access exclusive mode")
        await eventually(lambda: gone(room))
    assert await stage.agree(meeting.server) == set()


async def test_a_move_without_it_ends_the_router_at_the_next_heartbeat(stage: Stage, meeting: Meeting) -> None:
    await meeting.transport("send")
    began = time.monotonic()
    room = await moved(meeting, keep=None)
    await eventually(lambda: gone(room))
    assert time.monotonic() - began < 10 * HEARTBEAT


async def test_a_meeting_that_ends_keeps_nothing(stage: Stage, meeting: Meeting) -> None:
    await meeting.transport("send")
    room = await leaving(await moved(meeting, keep=30))
    await meeting.rows.execute(
        """update meetings set ended_at = now(), server = null, boot = null,
           kept_server = null, kept_boot = null, kept_epoch = null, keep_until = null where meeting = $1""",
        meeting.id,
    )
    await eventually(lambda: gone(room))


async def test_a_meeting_that_comes_back_has_a_new_router(stage: Stage, meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    room = await leaving(await moved(meeting, keep=30))
    await meeting.wants(meeting.server)
    await meeting.ask(AllocateRouter(capacity=Capacity(participants=80, producers=20)), None)
    assert room.router.closed
    new = await meeting.transport("send")
    assert transport.id not in await stage.agree(meeting.server)
    assert new.id in await stage.live(meeting.server)
