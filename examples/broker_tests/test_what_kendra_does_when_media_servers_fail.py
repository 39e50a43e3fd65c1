"""An example of tests against a real broker: what a caller of kendra sees when a media server goes wrong, one way a test.

Everything here is real (RabbitMQ, Postgres, Redis, gateway, kendra, the media server's handlers) but the media.
"""

import asyncio
import json
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from contracts.create_meeting import AllocateRouter, CreateMeeting
from contracts.create_producer import CreateProducer
from contracts.details import GetMeeting
from contracts.failure import Busy, DeadlineExceeded, KendraError, NoCapacity
from contracts.join_meeting import GetRouterCapabilities
from contracts.live import ListLive
from contracts.meeting import Capacity, Direction
from contracts.recreate_transport import RecreateTransport
from contracts.rtp import Kind, RtpParameters
from services.bus import media_queue
from services.testing.cluster import Cluster
from services.testing.eventually import eventually
from services.testing.faults import AnswersTwice, DiesAfterCommit, Refuses, Slow
from services.testing.plugin import StartFakeMediaServer
from services.testing.session import Broker

SMALL = CreateMeeting(capacity=Capacity(participants=4, producers=4))
OPUS = RtpParameters.model_validate(
    {
        "mid": "0",
        "codecs": [{"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}],
        "encodings": [{"ssrc": 1111}],
        "rtcp": {"cname": "alice"},
    }
)


@pytest.fixture
def meeting() -> str:
    """The name of a meeting that nobody had before."""
    return f"standup-{uuid4().hex[:8]}"


async def test_without_a_fault_a_meeting_is_made_once_however_often_it_is_asked_for(
    cluster: Cluster, fake_media_server: StartFakeMediaServer, meeting: str
) -> None:
    server = await fake_media_server("ms-1")
    id = uuid4()
    first = await cluster.ask(SMALL, meeting, id=id)
    again = await cluster.ask(SMALL, meeting, id=id)
    assert first.router_id == again.router_id
    assert server.number_of(AllocateRouter) == 1
    assert await cluster.events(meeting) == ["MeetingCreated"]


async def test_who_is_refused_by_one_server_gets_the_next_best(
    cluster: Cluster, fake_media_server: StartFakeMediaServer, meeting: str
) -> None:
    best = await fake_media_server("ms-1", capacity=2000, faults=[Refuses(AllocateRouter, Busy)])
    await fake_media_server("ms-2", capacity=1000)
    created = await cluster.ask(SMALL, meeting)
    assert (created.media_server_id, created.epoch) == ("ms-2", 2)
    assert best.meetings == set()
    assert await cluster.events(meeting) == ["MeetingCreated", "MeetingMoved"]


async def test_when_every_server_refuses_the_answer_is_no_capacity(
    cluster: Cluster, fake_media_server: StartFakeMediaServer, meeting: str
) -> None:
    await fake_media_server("ms-1", faults=[Refuses(AllocateRouter, times=None)])
    with pytest.raises(NoCapacity):
        await cluster.ask(SMALL, meeting)


async def test_a_slow_server_is_passed_over_in_time_and_undoes_what_it_made_too_late(
    cluster: Cluster, fake_media_server: StartFakeMediaServer, meeting: str
) -> None:
    slow = await fake_media_server("ms-1", capacity=2000, faults=[Slow(AllocateRouter, seconds=3.0)])
    await fake_media_server("ms-2", capacity=1000)
    created = await cluster.ask(SMALL, meeting)
    assert (created.media_server_id, created.epoch) == ("ms-2", 2)

    async def undone() -> bool:
        rows = await cluster.system.postgres.fetch("select server from allocations where meeting = $1", meeting)
        return [row["server"] for row in rows] == ["ms-2"] and slow.meetings == set()

    await asyncio.wait_for(slow.finished(), 10)
    await eventually(undone, within=10)


async def test_a_server_that_dies_after_its_commit_keeps_the_meeting_until_its_lease_is_over(
    cluster: Cluster, fake_media_server: StartFakeMediaServer, meeting: str
) -> None:
    dying = await fake_media_server("ms-1", capacity=2000, faults=[DiesAfterCommit(AllocateRouter)])
    await fake_media_server("ms-2", capacity=1000)
    created = await cluster.ask(SMALL, meeting)
    assert created.media_server_id == "ms-1", "the router was written: that is what counts, not the reply"
    assert not dying.alive
    await cluster.told(meeting, "MeetingMoved", within=15)
    moved = await cluster.ask(GetMeeting(), meeting)
    assert (moved.media_server_id, moved.epoch) == ("ms-2", 2)


async def test_a_command_whose_server_died_after_the_commit_had_its_effect_once(
    cluster: Cluster, fake_media_server: StartFakeMediaServer, meeting: str
) -> None:
    await fake_media_server("ms-1", faults=[DiesAfterCommit(CreateProducer)])
    await cluster.ask(SMALL, meeting)
    _, alice = await cluster.join(meeting, "alice")
    transport = await cluster.ask(RecreateTransport(direction=Direction.SEND), meeting, actor=alice)
    order = CreateProducer(transport_id=transport.id, kind=Kind.AUDIO, rtp_parameters=OPUS)
    with pytest.raises(KendraError) as unknown:
        await cluster.ask(order, meeting, actor=alice, id=uuid4())
    assert unknown.value.retryable
    assert (await cluster.events(meeting)).count("ProducerCreated") == 1


async def test_a_reply_that_comes_twice_answers_one_command(
    cluster: Cluster, fake_media_server: StartFakeMediaServer, meeting: str
) -> None:
    await fake_media_server(
        "ms-1", faults=[AnswersTwice(command) for command in (AllocateRouter, GetRouterCapabilities)]
    )
    first = await cluster.ask(SMALL, meeting)
    second = await cluster.ask(SMALL, f"{meeting}-2")
    assert first.router_id != second.router_id
    alice, _ = await cluster.join(meeting, "alice")
    bob, _ = await cluster.join(meeting, "bob")
    assert (alice.router_id, bob.router_id) == (first.router_id, first.router_id)
    assert await cluster.events(meeting) == ["MeetingCreated", "ParticipantJoined", "ParticipantJoined"]
    assert await cluster.events(f"{meeting}-2") == ["MeetingCreated"]


async def test_whoever_waits_less_than_a_server_takes_hears_that_the_outcome_is_unknown(
    cluster: Cluster, fake_media_server: StartFakeMediaServer, meeting: str
) -> None:
    await fake_media_server("ms-1", faults=[Slow(AllocateRouter, seconds=1.0)])
    id = uuid4()
    with pytest.raises(DeadlineExceeded):
        await cluster.ask(SMALL, meeting, id=id, seconds=0.5)
    repeated = await cluster.ask(SMALL, meeting, id=id)
    assert repeated.media_server_id == "ms-1"
    assert await cluster.events(meeting) == ["MeetingCreated"]


async def replies_to(
    url: str, queue: str, command: str, body: object, meeting: str, *, number: int = 1
) -> list[AbstractIncomingMessage]:
    """Ask as any AMQP client would, with nothing of ours; return so many replies."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        arguments = {"x-queue-type": "classic", "x-expires": 60_000}
        replies = await channel.declare_queue(f"reply.tool.{meeting}", durable=True, arguments=arguments)
        actor = json.dumps({"key": "tool", "grants": ["create"]})
        message = aio_pika.Message(
            json.dumps(body).encode(),
            type=command,
            message_id=str(uuid4()),
            correlation_id="1",
            reply_to=replies.name,
            headers={"tenant": "demo", "meeting": meeting, "remainingMs": 4000, "actor": actor},
        )
        await channel.default_exchange.publish(message, queue, mandatory=True)
        async with replies.iterator(no_ack=True, timeout=10) as incoming:
            return [await anext(incoming) for _ in range(number)]


async def test_a_program_of_your_own_needs_nothing_but_the_broker(
    broker: Broker, fake_media_server: StartFakeMediaServer, meeting: str
) -> None:
    await fake_media_server("ms-1")
    body = {"capacity": {"participants": 2, "producers": 2}}
    (reply,) = await replies_to(broker.of["tool"], "kendra.commands", "CreateMeeting", body, meeting)
    assert reply.type == "MeetingCreated"
    assert json.loads(reply.body)["mediaServerId"] == "ms-1"


async def test_a_media_servers_queue_can_be_asked_as_well_and_its_second_reply_seen(
    broker: Broker, fake_media_server: StartFakeMediaServer, meeting: str
) -> None:
    server = await fake_media_server("ms-1", faults=[AnswersTwice(ListLive)])
    queue = media_queue(server.name, server.boot)
    first, second = await replies_to(broker.of["tool"], queue, "ListLive", {}, meeting, number=2)
    assert (first.type, first.correlation_id) == ("LiveListed", "1")
    assert (first.body, first.correlation_id) == (second.body, second.correlation_id)
