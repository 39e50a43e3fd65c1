"""What a meeting is told of what closed."""

from contracts.events import ClosedBecause
from contracts.ids import ConsumerId, ParticipantId, ProducerId, TransportId
from contracts.meeting import Direction
from services.media_server.told import Gone, GoneConsumer, GoneProducer, GoneTransport

ALICE, BOB = ParticipantId("alice"), ParticipantId("bob")
SENDING = GoneTransport(TransportId("sending"), ALICE, Direction.SEND)
RECEIVING = GoneTransport(TransportId("receiving"), BOB, Direction.RECV)
PRODUCER = GoneProducer(ProducerId("producer"), ALICE, SENDING.id)
CONSUMER = GoneConsumer(ConsumerId("consumer"), BOB, PRODUCER.id, RECEIVING.id)


def reasons(
    because: ClosedBecause, *gone: GoneTransport | GoneProducer | GoneConsumer
) -> list[tuple[str, str | None, str]]:
    told = Gone(
        because,
        [one for one in gone if isinstance(one, GoneTransport)],
        [one for one in gone if isinstance(one, GoneProducer)],
        [one for one in gone if isinstance(one, GoneConsumer)],
    ).told()
    return [(one.event.type, one.to, one.event.model_dump()["reason"]) for one in told]


def test_a_producer_is_told_to_all_and_its_consumer_to_whom_it_was() -> None:
    assert reasons("closed", PRODUCER, CONSUMER) == [
        ("ProducerClosed", None, "closed"),
        ("ConsumerClosed", "bob", "producer_closed"),
    ]


def test_what_closes_with_a_transport_that_was_closed_says_so() -> None:
    assert reasons("closed", SENDING, PRODUCER, CONSUMER) == [
        ("ProducerClosed", None, "transport_closed"),
        ("ConsumerClosed", "bob", "producer_closed"),
        ("TransportClosed", "alice", "closed"),
    ]


def test_every_other_reason_is_handed_down_to_what_hung_from_the_transport() -> None:
    assert reasons("kicked", RECEIVING, CONSUMER) == [
        ("ConsumerClosed", "bob", "kicked"),
        ("TransportClosed", "bob", "kicked"),
    ]


def test_nothing_gone_nothing_told() -> None:
    assert reasons("left") == []
