"""The media server's flows over a real broker and database: after each, rows and memory say the same, and the meeting was told."""

from collections.abc import AsyncIterator

import pytest

from contracts.consumers import CloseConsumer, PauseConsumer, RequestKeyFrame, ResumeConsumer, SetPreferredLayers
from contracts.create_meeting import AllocateRouter
from contracts.create_producer import CreateProducer
from contracts.details import GetConsumerStats, GetProducerStats, GetTransportStats
from contracts.end_meeting import CloseRouter
from contracts.failure import (
    ConsumerNotFound,
    InvalidRtpParameters,
    InvalidState,
    ProducerLimit,
    ProducerNotFound,
    StaleEpoch,
    StaleInstance,
    TransportNotFound,
)
from contracts.ids import ParticipantId, ProducerId, TransportId
from contracts.join_meeting import CloseSeats, GetRouterCapabilities
from contracts.meeting import Capacity
from contracts.producers import CloseProducer, PauseProducer, ResumeProducer
from contracts.rtp import DtlsFingerprint, DtlsParameters, Kind
from contracts.transports import CloseTransport, ConnectTransport, RestartIce
from services.media_server.main import MediaServer
from services.testing.session import Broker, Session
from sfu.plane.seat import IceLost
from tests.eventually import eventually
from tests.services.media_server_peers import Meeting, Stage, opus, staged

CAPACITY = Capacity(participants=80, producers=20)


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


async def test_a_router_is_allocated_once_however_many_ask(stage: Stage, meeting: Meeting) -> None:
    first = await meeting.ask(AllocateRouter(capacity=CAPACITY), None)
    again = await meeting.ask(AllocateRouter(capacity=CAPACITY), None)
    assert first == again
    assert await stage.agree(meeting.server) == {first.router_id}


async def test_a_meeting_that_wants_another_server_gets_no_router_here(stage: Stage, meeting: Meeting) -> None:
    await meeting.rows.execute("update meetings set boot = 'another' where meeting = $1", meeting.id)
    meeting.epoch = await meeting.rows.fetchval("select begin_epoch('acme', $1)", meeting.id)
    with pytest.raises(StaleEpoch):
        await meeting.ask(AllocateRouter(capacity=CAPACITY), None)
    assert all(len(worker.routers) <= 1 for worker in meeting.server.world.workers)


async def test_the_next_epoch_on_the_same_server_replaces_the_router_without_events(
    stage: Stage, meeting: Meeting
) -> None:
    sending = await meeting.transport("send")
    await meeting.produce(sending.id)
    told = await meeting.types()
    await meeting.wants(meeting.server)
    allocated = await meeting.ask(AllocateRouter(capacity=CAPACITY), None)
    assert await stage.agree(meeting.server) == {allocated.router_id}
    assert await meeting.types() == told


async def test_capabilities_come_from_the_router_that_lives(meeting: Meeting) -> None:
    answered = await meeting.ask(GetRouterCapabilities(), None)
    assert answered.rtp_capabilities.codecs
    assert {codec.mime_type for codec in answered.rtp_capabilities.codecs} >= {"audio/opus", "video/VP8"}
    with pytest.raises(StaleEpoch):
        await meeting.ask(GetRouterCapabilities(), None, epoch=meeting.epoch + 1)


async def test_a_transport_made_anew_takes_what_hung_from_the_old_one(stage: Stage, meeting: Meeting) -> None:
    old = await meeting.transport("send")
    producer = await meeting.produce(old.id)
    receiving = await meeting.transport("recv", "bob", 2)
    consumer = await meeting.consume(producer)
    new = await meeting.transport("send")
    assert (new.closed_producer_ids, new.closed_consumer_ids) == ([producer], [consumer.id])
    assert new.ice_candidates
    assert {new.id, receiving.id} < await stage.agree(meeting.server)
    told = (await meeting.events())[1:]
    assert [(type, to, body["reason"]) for type, to, body in told] == [
        ("ProducerClosed", None, "recreated"),
        ("ConsumerClosed", "bob", "producer_closed"),
        ("TransportClosed", "alice", "recreated"),
    ]


async def test_the_other_direction_and_other_participants_keep_their_transports(stage: Stage, meeting: Meeting) -> None:
    kept = [await meeting.transport("recv"), await meeting.transport("send", "bob", 2)]
    await meeting.transport("send")
    last = await meeting.transport("send")
    assert {last.id, *(one.id for one in kept)} < await stage.agree(meeting.server)


async def test_connecting_twice_with_the_same_fingerprints_is_fine_with_others_it_is_not(meeting: Meeting) -> None:
    transport = await meeting.transport("send")

    def order(value: str) -> ConnectTransport:
        fingerprint = DtlsFingerprint(algorithm="sha-256", value=":".join([value] * 32))
        return ConnectTransport(
            transport_id=transport.id, dtls_parameters=DtlsParameters(role="client", fingerprints=[fingerprint])
        )

    await meeting.ask(order("AB"))
    await meeting.ask(order("AB"))
    with pytest.raises(InvalidState):
        await meeting.ask(order("CD"))


async def test_an_ice_restart_gives_new_credentials(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    restarted = await meeting.ask(RestartIce(transport_id=transport.id))
    assert restarted.ice_parameters.password != transport.ice_parameters.password


async def test_a_closed_transport_is_told_to_its_owner_and_its_producers_to_all(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    await meeting.produce(transport.id)
    await meeting.ask(CloseTransport(transport_id=transport.id))
    assert [(type, to, body["reason"]) for type, to, body in (await meeting.events())[1:]] == [
        ("ProducerClosed", None, "transport_closed"),
        ("TransportClosed", "alice", "closed"),
    ]
    with pytest.raises(TransportNotFound):
        await meeting.ask(CloseTransport(transport_id=transport.id))


async def test_a_producer_is_told_of_when_it_is_made_paused_resumed_and_closed(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    producer = await meeting.produce(transport.id)
    for order in (PauseProducer, PauseProducer, ResumeProducer, CloseProducer):
        await meeting.ask(order(producer_id=producer))
    assert await meeting.types() == ["ProducerCreated", "ProducerPaused", "ProducerResumed", "ProducerClosed"]
    with pytest.raises(ProducerNotFound):
        await meeting.ask(PauseProducer(producer_id=producer))


async def test_another_participants_things_are_not_found(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    producer = await meeting.produce(transport.id)
    await meeting.transport("recv", "bob", 2)
    consumer = (await meeting.consume(producer)).id
    for order, error in (
        (CloseTransport(transport_id=transport.id), TransportNotFound),
        (CreateProducer(transport_id=transport.id, kind=Kind.AUDIO, rtp_parameters=opus(1)), TransportNotFound),
        (PauseProducer(producer_id=producer), ProducerNotFound),
        (CloseConsumer(consumer_id=consumer), ConsumerNotFound),
        (GetTransportStats(transport_id=transport.id), TransportNotFound),
    ):
        with pytest.raises(error):
            await meeting.ask(order, "carol", 3)


async def test_a_meeting_has_no_more_producers_than_it_booked(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    for number in range(20):
        await meeting.produce(transport.id, number=number)
    with pytest.raises(ProducerLimit):
        await meeting.produce(transport.id, number=20)


async def test_what_the_library_refuses_is_refused_in_the_contracts_words(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    await meeting.produce(transport.id)
    with pytest.raises(InvalidRtpParameters):
        await meeting.produce(transport.id)
    receiving = await meeting.transport("recv")
    with pytest.raises(InvalidState):
        await meeting.produce(receiving.id, number=2)


async def test_a_consumer_needs_a_receive_transport_and_a_producer(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    producer = await meeting.produce(transport.id)
    with pytest.raises(TransportNotFound):
        await meeting.consume(producer)
    await meeting.transport("recv", "bob", 2)
    with pytest.raises(ProducerNotFound):
        await meeting.consume(ProducerId("unknown"))


async def test_a_consumer_is_paused_resumed_asked_and_closed(meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    producer = await meeting.produce(transport.id)
    await meeting.transport("recv", "bob", 2)
    consumer = await meeting.consume(producer)
    assert (consumer.producer_id, consumer.kind, consumer.type, consumer.producer_paused) == (
        producer,
        "audio",
        "simple",
        False,
    )
    paused = "select paused from consumers where id = $1"
    assert await meeting.rows.fetchval(paused, consumer.id)
    await meeting.ask(ResumeConsumer(consumer_id=consumer.id), "bob", 2)
    assert not await meeting.rows.fetchval(paused, consumer.id)
    await meeting.ask(PauseConsumer(consumer_id=consumer.id), "bob", 2)
    await meeting.ask(RequestKeyFrame(consumer_id=consumer.id), "bob", 2)
    with pytest.raises(InvalidState):
        await meeting.ask(SetPreferredLayers(consumer_id=consumer.id, spatial_layer=1), "bob", 2)
    for stats in (
        await meeting.ask(GetConsumerStats(consumer_id=consumer.id), "bob", 2),
        await meeting.ask(GetProducerStats(producer_id=producer)),
        await meeting.ask(GetTransportStats(transport_id=transport.id)),
    ):
        assert stats.stats
    await meeting.ask(CloseConsumer(consumer_id=consumer.id), "bob", 2)
    assert (await meeting.events())[-1][:2] == ("ConsumerClosed", "bob")


async def test_lower_seats_are_closed_and_refused_from_then_on(stage: Stage, meeting: Meeting) -> None:
    old = await meeting.transport("send")
    await meeting.produce(old.id)
    other = await meeting.transport("recv", "bob", 2)
    await meeting.consume(meeting.server.world.registry.rooms["acme", meeting.id].producers.copy().popitem()[0])
    order = CloseSeats(participant_id=ParticipantId("alice"), below=5, reason="replaced")
    assert (await meeting.ask(order, None)).closed_below == 5
    with pytest.raises(StaleInstance):
        await meeting.transport("send")
    new = await meeting.transport("send", seat=5)
    assert {new.id, other.id} < await stage.agree(meeting.server)
    assert [(type, to, body["reason"]) for type, to, body in (await meeting.events())[1:]] == [
        ("ProducerClosed", None, "replaced"),
        ("ConsumerClosed", "bob", "producer_closed"),
        ("TransportClosed", "alice", "replaced"),
    ]
    with pytest.raises(TransportNotFound):
        await meeting.ask(CloseTransport(transport_id=old.id), seat=5)


async def test_a_seat_lower_than_was_seen_is_stale(meeting: Meeting) -> None:
    await meeting.transport("send", seat=7)
    with pytest.raises(StaleInstance):
        await meeting.transport("recv", seat=6)


async def test_commands_of_another_epoch_or_without_a_router_are_stale(meeting: Meeting) -> None:
    with pytest.raises(StaleEpoch):
        await meeting.transport("send", epoch=meeting.epoch + 1)
    await meeting.rows.execute("select begin_epoch('acme', $1)", meeting.id)
    with pytest.raises(StaleEpoch):
        await meeting.transport("send")


async def test_what_went_with_an_older_epoch_is_stale_and_not_merely_unknown(meeting: Meeting) -> None:
    sending = await meeting.transport("send")
    producer = await meeting.produce(sending.id)
    await meeting.wants(meeting.server)
    await meeting.ask(AllocateRouter(capacity=CAPACITY), None)
    for order in (CloseTransport(transport_id=sending.id), CloseProducer(producer_id=producer)):
        with pytest.raises(StaleEpoch):
            await meeting.ask(order)
    with pytest.raises(StaleEpoch):
        await meeting.consume(producer)
    await meeting.transport("recv", "bob", 2)
    with pytest.raises(ProducerNotFound):
        await meeting.consume(producer)


async def test_a_closed_router_leaves_no_row_and_tells_nobody(stage: Stage, meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    await meeting.produce(transport.id)
    await meeting.rows.execute("select end_log('acme', $1)", meeting.id)
    await meeting.ask(CloseRouter(), None)
    assert await stage.agree(meeting.server) == set()
    assert await meeting.types() == ["ProducerCreated"]
    with pytest.raises(StaleEpoch):
        await meeting.ask(GetRouterCapabilities(), None)


async def test_an_allocation_that_is_not_wanted_any_more_is_closed_by_the_renewal(
    stage: Stage, meeting: Meeting
) -> None:
    await meeting.transport("send")
    await meeting.wants(None)

    async def gone() -> bool:
        return not await stage.written(meeting.server) and not await stage.live(meeting.server)

    assert await eventually(gone)
    assert await meeting.types() == []


async def test_a_transport_that_closes_by_itself_is_written_and_told(stage: Stage, meeting: Meeting) -> None:
    transport = await meeting.transport("send")
    await meeting.produce(transport.id)
    room = meeting.server.world.registry.rooms["acme", meeting.id]
    room.transports[TransportId(transport.id)].media.plane_event(IceLost(transport.id))
    assert await eventually(lambda: _told(meeting, 3))
    assert [(type, body["reason"]) for type, _, body in (await meeting.events())[1:]] == [
        ("ProducerClosed", "consent_lost"),
        ("TransportClosed", "consent_lost"),
    ]
    assert len(await stage.agree(meeting.server)) == 1


async def _told(meeting: Meeting, count: int) -> bool:
    return len(await meeting.types()) >= count
