"""What the sweep decides under a lock, and what it forgets: it is never stuck on what it met once."""

from collections.abc import AsyncIterator

import pytest

from contracts.meeting import Direction
from contracts.recreate_transport import RecreateTransport
from tests.services.kendra_peers import TENANT, FakeServer, Stage, holder, staged
from tests.session import Broker, Cache, Database


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker, redis: Cache) -> AsyncIterator[Stage]:
    async with staged(postgres, rabbitmq, redis) as opened:
        yield opened


@pytest.fixture
async def server(stage: Stage) -> FakeServer:
    return await stage.server("ms1")


async def test_a_seat_that_got_a_transport_just_in_time_can_be_given_up_later(stage: Stage, server: FakeServer) -> None:
    kendra = await stage.kendra()
    await stage.create("standup")
    asha = holder(await stage.join("standup", "asha"))
    assert asha.participant is not None
    assert asha.seat is not None
    seat = (TENANT, stage.call("standup").meeting, asha.participant, asha.seat)
    await stage.ask(RecreateTransport(direction=Direction.SEND), "standup", asha)
    assert not await kendra.world.store.seats.clear(*seat)
    await stage.rows.execute("delete from transports")
    assert await kendra.world.store.seats.clear(*seat)
