"""One effect per command id, in the order of the line: repeats, limits, and commits whose outcome nobody told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import aio_pika
import pytest

from contracts.create_meeting import AllocateRouter
from contracts.create_producer import CreateProducer
from contracts.failure import Busy, DeadlineExceeded, IdempotencyKeyReused, KendraError, Unavailable
from contracts.ids import CommandId, MediaServerId, ProducerId
from contracts.join_meeting import GetRouterCapabilities
from contracts.meeting import Capacity
from contracts.producers import PauseProducer
from contracts.rtp import Kind
from services.bus import media_queue
from services.media_server.main import MediaServer
from services.media_server.store import Allocated, Store
from services.testing.session import Broker, Session
from sfu.plane.seat import IceLost
from tests.eventually import eventually
from tests.services.media_server_peers import SERVER, TENANT, Meeting, Stage, opus, staged


@pytest.fixture(scope="module")
async def stage(session: Session, rabbitmq: Broker) -> AsyncIterator[Stage]:
    async with session.database() as database, staged(database, rabbitmq) as opened:
        yield opened


@pytest.fixture(scope="module")
async def server(stage: Stage) -> AsyncIterator[MediaServer]:
    started = await stage.start()
    yield started
    await started.stop()


@pytest.fixture
async def meeting(stage: Stage, server: MediaServer) -> AsyncIterator[Meeting]:
    yield await stage.meeting(server)
    await stage.end_meetings(server)


CAPACITY = Capacity(participants=80, producers=20)
IN_COMMIT = "query ilike 'commit%' and state = 'active'"


class Slowly:
    """Holds the meeting's lock, so that every transaction about it waits until the lock is let go."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting

    async def __aenter__(self) -> None:
        self._connection = await self._meeting.rows.acquire()
        self._transaction = self._connection.transaction()
        await self._transaction.start()
        await self._connection.execute("select lock_meeting($1, $2, null)", TENANT, self._meeting.id)

    async def __aexit__(self, *_: object) -> None:
        await self._transaction.rollback()
        await self._meeting.rows.release(self._connection)


async def backends(meeting: Meeting, condition: str) -> int:
    """Count the server's backends of which something holds."""
    found = await meeting.backends.fetchval(
        f"""select count(*) from pg_stat_activity where application_name = 'doordarshan media server'
            and datname = current_database() and {condition}"""  # noqa: S608
    )
    return int(found)


async def waits_for_a_lock(meeting: Meeting) -> None:
    """Wait until a backend of the server waits for a lock."""
    await eventually(lambda: backends(meeting, "wait_event_type = 'Lock'"))


async def test_a_repeat_in_flight_joins_the_first_and_a_later_one_gets_the_same_reply(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    id = uuid4()
    async with Slowly(meeting):
        together = [asyncio.create_task(meeting.produce(transport.id, id=id)) for _ in range(3)]
        await waits_for_a_lock(meeting)
    produced = {await one for one in together} | {await meeting.produce(transport.id, id=id)}
    assert len(produced) == 1
    assert await meeting.types() == ["ProducerCreated"]


async def test_the_stored_reply_is_the_reply_byte_for_byte(stage: Stage, meeting: Meeting) -> None:
    id = uuid4()
    headers = {
        "remainingMs": 5000,
        "tenant": TENANT,
        "meeting": meeting.id,
        "epoch": meeting.epoch,
        "actor": '{"participant": "alice", "instance": "a", "seat": 1}',
    }
    connection = await aio_pika.connect(stage.broker.of["tool"])
    async with connection:
        channel = await connection.channel()
        replies = await channel.declare_queue(f"reply.tool.{id.hex}", durable=True, arguments={"x-expires": 60_000})
        bodies = []
        for _ in range(2):
            message = aio_pika.Message(
                b'{"direction": "send", "old": []}',
                type="ReplaceTransports",
                message_id=str(id),
                correlation_id="1",
                reply_to=replies.name,
                expiration=5,
                headers=dict(headers),
            )
            queue = media_queue(MediaServerId(SERVER), meeting.server.boot)
            await channel.default_exchange.publish(message, queue)
            bodies.append((await eventually(lambda: replies.get(fail=False))).body)
    assert bodies[0] == bodies[1]
    assert "iceParameters" in json.loads(bodies[0])


async def test_the_same_id_with_another_body_is_refused_in_flight_and_later(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    id = uuid4()
    async with Slowly(meeting):
        first = asyncio.create_task(meeting.produce(transport.id, id=id))
        await waits_for_a_lock(meeting)
        with pytest.raises(IdempotencyKeyReused):
            await meeting.produce(transport.id, id=id, hash="1" * 64)
    await first
    with pytest.raises(IdempotencyKeyReused):
        await meeting.produce(transport.id, id=id, hash="1" * 64)


async def test_a_deadline_ends_the_wait_and_not_the_work(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    id = uuid4()
    async with Slowly(meeting):
        with pytest.raises(DeadlineExceeded):
            await meeting.produce(transport.id, id=id, budget=0.2)
    produced = await meeting.produce(transport.id, id=id)
    assert await meeting.rows.fetchval("select count(*) from producers where id = $1", produced) == 1
    assert await meeting.types() == ["ProducerCreated"]


async def test_a_command_whose_turn_comes_after_its_deadline_does_nothing_unless_a_repeat_waits_longer(
    meeting: Meeting,
) -> None:
    transport = await meeting.transport("send")
    dropped, kept = uuid4(), uuid4()
    async with Slowly(meeting):
        running = asyncio.create_task(meeting.produce(transport.id))
        await waits_for_a_lock(meeting)
        longer = asyncio.create_task(meeting.produce(transport.id, id=kept, number=1))
        late = [
            meeting.produce(transport.id, id=id, number=number, budget=0.2) for number, id in ((1, kept), (2, dropped))
        ]
        for outcome in await asyncio.gather(*late, return_exceptions=True):
            assert isinstance(outcome, DeadlineExceeded)
    assert {await running, await longer} == set(meeting.server.world.registry.rooms[TENANT, meeting.id].producers)


async def test_a_meetings_commands_do_not_overlap_and_run_in_the_order_of_their_arrival(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    async with Slowly(meeting):
        first = asyncio.create_task(meeting.produce(transport.id))
        await waits_for_a_lock(meeting)
        rest = [asyncio.create_task(meeting.produce(transport.id, number=number)) for number in range(1, 8)]
        assert await backends(meeting, "wait_event_type = 'Lock'") == 1, "only one command is at the database"
    in_order = [await first, *(await asyncio.gather(*rest))]
    assert [body["producerId"] for _, _, body in await meeting.events()] == in_order


async def test_different_meetings_run_side_by_side(stage: Stage, meeting: Meeting) -> None:
    other = await stage.meeting(meeting.server)
    async with Slowly(meeting):
        slow = asyncio.create_task(meeting.transport("send"))
        await waits_for_a_lock(meeting)
        assert (await other.transport("send")).id
        assert not slow.done()
    await slow


async def test_a_read_does_not_wait_for_the_line(meeting: Meeting) -> None:
    async with Slowly(meeting):
        slow = asyncio.create_task(meeting.transport("send"))
        await waits_for_a_lock(meeting)
        await meeting.ask(GetRouterCapabilities(), None, budget=0.5)
        assert not slow.done()
    await slow


async def test_a_seat_with_eight_commands_waiting_is_busy_and_other_seats_are_not(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    others = await meeting.transport("send", "bob", 2)
    async with Slowly(meeting):
        running = [asyncio.create_task(meeting.produce(transport.id))]
        await waits_for_a_lock(meeting)
        asked = [asyncio.create_task(meeting.produce(transport.id, number=number)) for number in range(1, 10)]
        running.append(asyncio.create_task(meeting.produce(others.id, "bob", 2)))
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=5)
        assert [type(one.exception()) for one in done] == [Busy]
    outcomes = await asyncio.gather(*asked, *running, return_exceptions=True)
    assert sum(isinstance(one, Busy) for one in outcomes) == 1


async def test_69_consumers_asked_at_once_by_69_seats_are_all_made(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    producer = await meeting.produce(transport.id)
    people = [(f"person-{number}", 10 + number) for number in range(69)]
    await asyncio.gather(*(meeting.transport("recv", *person) for person in people))
    consumers = await asyncio.gather(*(meeting.consume(producer, *person) for person in people))
    assert len({consumer.id for consumer in consumers}) == 69


async def test_a_producer_whose_row_cannot_be_written_is_closed_again(stage: Stage, meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    await meeting.rows.execute("alter table producers add constraint nothing_today check (kind <> 'audio')")
    with pytest.raises(KendraError):
        await meeting.produce(transport.id)
    await meeting.rows.execute("alter table producers drop constraint nothing_today")
    assert len(await stage.agree(meeting.server)) == 2
    assert await meeting.types() == []
    assert await meeting.produce(transport.id)


async def kill_the_servers_backends(meeting: Meeting) -> None:
    await meeting.backends.execute(
        """with theirs as materialized (
             select pid from pg_stat_activity
             where application_name = 'doordarshan media server' and datname = current_database())
           select pg_terminate_backend(pid) from theirs"""
    )


def drop_connections(meeting: Meeting) -> None:
    """Break the server's connections that are in use, from its own side; the backends go on."""
    for holder in meeting.server._database.pool._holders:
        if holder._con is not None and holder._in_use:
            holder._con.terminate()


@asynccontextmanager
async def slow_commits(meeting: Meeting, table: str = "producers") -> AsyncIterator[None]:
    """Have every commit that made a producer (or another row) take a second, inside COMMIT."""
    await meeting.rows.execute(
        f"""create function dawdle() returns trigger language plpgsql as $$ begin perform pg_sleep(1); return null; end $$;
           create constraint trigger dawdles after insert on {table} deferrable initially deferred
           for each row execute function dawdle()"""
    )
    yield
    await meeting.rows.execute("drop function dawdle cascade")


async def test_a_backend_killed_during_its_commit_leaves_rows_and_memory_the_same(
    stage: Stage, meeting: Meeting
) -> None:
    transport = await meeting.transport("send")
    id = uuid4()
    async with slow_commits(meeting):
        asked = asyncio.create_task(meeting.produce(transport.id, id=id))
        assert await eventually(lambda: backends(meeting, IN_COMMIT))
        await kill_the_servers_backends(meeting)
        with pytest.raises(Unavailable):
            await asked
    assert len(await stage.agree(meeting.server)) == 2
    produced = await meeting.produce(transport.id, id=id)
    assert produced in await stage.agree(meeting.server)
    assert await meeting.types() == ["ProducerCreated"]


async def test_a_commit_that_lands_after_its_connection_is_gone_is_found_out(stage: Stage, meeting: Meeting) -> None:
    """The connection breaks while the backend is inside COMMIT, and the backend goes on: absence is not final."""
    transport = await meeting.transport("send")
    id = uuid4()
    async with slow_commits(meeting):
        asked = asyncio.create_task(meeting.produce(transport.id, id=id))
        assert await eventually(lambda: backends(meeting, IN_COMMIT))
        drop_connections(meeting)
        produced = await asked
    assert produced in await stage.agree(meeting.server)
    assert await meeting.produce(transport.id, id=id) == produced
    assert await meeting.types() == ["ProducerCreated"]


async def test_an_allocation_in_doubt_that_nobody_wants_any_more_leaves_no_router(
    stage: Stage, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows must not go before it is settled: it would be found to have landed, and its router would live on without them."""
    recorder = meeting.server.world.recorder

    async def away(_: CommandId) -> bool:
        raise Unavailable

    await meeting.wants(meeting.server)
    monkeypatch.setattr(recorder._store, "landed", away)
    async with slow_commits(meeting, "allocations"):
        asked = asyncio.create_task(meeting.ask(AllocateRouter(capacity=CAPACITY), None))
        assert await eventually(lambda: backends(meeting, IN_COMMIT))
        drop_connections(meeting)
        with pytest.raises(Unavailable):
            await asked
    epoch = meeting.epoch
    await eventually(lambda: meeting.rows.fetchval("select count(*) from allocations where epoch = $1", epoch))
    await meeting.wants(None)
    found: list[Allocated] = []
    reporting = meeting.server._reporting
    close = reporting._unwanted
    monkeypatch.setattr(reporting, "_unwanted", lambda of: (found.append(of), close(of)))
    await eventually(lambda: _as_found(meeting, found))
    assert recorder.in_doubt == [(TENANT, meeting.id)]
    monkeypatch.setattr(recorder._store, "landed", Store.landed.__get__(recorder._store))
    await eventually(lambda: _gone(stage, meeting))


async def _as_found(meeting: Meeting, found: list[Allocated]) -> bool:
    return bool(found) and meeting.server._lines.idle((TENANT, meeting.id))


async def _gone(stage: Stage, meeting: Meeting) -> bool:
    return not meeting.server.world.recorder.in_doubt and not await stage.agree(meeting.server)


async def test_a_close_that_could_not_be_written_is_written_before_the_next_command(
    stage: Stage, meeting: Meeting
) -> None:
    transport = await meeting.transport("send")
    producer = await meeting.produce(transport.id)
    receiving = await meeting.transport("recv", "bob", 2)
    consumer = await meeting.consume(producer)
    room = meeting.server.world.registry.rooms[TENANT, meeting.id]
    await meeting.rows.execute("create rule keep as on delete to transports do instead select 1/0")
    room.transports[transport.id].media.plane_event(IceLost(transport.id))
    with pytest.raises(KendraError):
        await meeting.transport("send", "carol", 3)
    assert {transport.id, producer, consumer.id} < await stage.written(meeting.server)
    await meeting.rows.execute("drop rule keep on transports")
    carols = await meeting.transport("send", "carol", 3)
    assert {receiving.id, carols.id} < await stage.agree(meeting.server)
    assert (await meeting.types())[1:] == ["ProducerClosed", "ConsumerClosed", "TransportClosed"]


async def test_a_transport_that_dies_while_its_producer_is_written_takes_it_along(
    stage: Stage, meeting: Meeting
) -> None:
    transport = await meeting.transport("send")
    async with Slowly(meeting):
        asked = asyncio.create_task(meeting.produce(transport.id))
        await waits_for_a_lock(meeting)
        media = meeting.server.world.registry.rooms[TENANT, meeting.id].transports[transport.id].media
        media.plane_event(IceLost(transport.id))
    produced: ProducerId = await asked
    assert len(await stage.agree(meeting.server)) == 1
    assert await eventually(lambda: _as_told(meeting, ["ProducerCreated", "ProducerClosed", "TransportClosed"]))
    assert (await meeting.events())[1][2]["producerId"] == produced


async def test_a_repeat_after_the_object_is_gone_gets_the_stored_reply(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    id = uuid4()
    produced = await meeting.produce(transport.id, id=id)
    await meeting.transport("send")
    assert await meeting.produce(transport.id, id=id) == produced


async def test_a_refusal_is_not_kept_so_that_the_command_may_succeed_later(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    producer = await meeting.produce(transport.id)
    id = uuid4()
    order = CreateProducer(transport_id=transport.id, kind=Kind.AUDIO, rtp_parameters=opus())
    with pytest.raises(KendraError):
        await meeting.ask(order, id=id)
    await meeting.ask(PauseProducer(producer_id=producer))
    assert await meeting.rows.fetchval("select count(*) from handled_commands where command = $1", id) == 0


async def test_old_commands_are_forgotten_however_many_there_are(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a statement may take bounds how many rows it can delete: a backlog must not outgrow it for ever."""
    monkeypatch.setattr("services.media_server.store.commands.AT_ONCE", 250)
    await meeting.rows.execute(
        """insert into handled_commands (command, hash, reply_type, reply, at)
           select gen_random_uuid(), '', 'Old', '', now() - case when number > 1000 then interval '1 hour' else interval '25 hours' end
           from generate_series(1, 1003) number"""
    )
    await meeting.rows.execute(
        """create function linger() returns trigger language plpgsql as $$ begin perform pg_sleep(0.004); return old; end $$;
           create trigger lingers before delete on handled_commands for each row execute function linger()"""
    )
    await meeting.server.world.store.forget_handled(86_400.0)
    await meeting.rows.execute("drop function linger cascade")
    assert await meeting.rows.fetchval("select count(*) from handled_commands where reply_type = 'Old'") == 3


async def _as_told(meeting: Meeting, types: list[str]) -> bool:
    return await meeting.types() == types
