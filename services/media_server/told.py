"""What a meeting is told of what closed: pure, from the rows that were deleted, so nothing is told twice or of what never was."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.events import ClosedBecause, ConsumerClosedEvent, Event, ProducerClosedEvent, TransportClosedEvent
from contracts.ids import ConsumerId, ParticipantId, ProducerId, TransportId
from contracts.meeting import Direction


@dataclass(frozen=True, slots=True)
class Told:
    """An event and who hears it; nobody named means everybody."""

    event: Event
    to: ParticipantId | None = None


@dataclass(frozen=True, slots=True)
class GoneTransport:
    id: TransportId
    participant: ParticipantId
    direction: Direction


@dataclass(frozen=True, slots=True)
class GoneProducer:
    id: ProducerId
    participant: ParticipantId
    transport: TransportId


@dataclass(frozen=True, slots=True)
class GoneConsumer:
    id: ConsumerId
    participant: ParticipantId
    producer: ProducerId
    transport: TransportId


@dataclass(frozen=True, slots=True)
class Gone:
    """Rows that were deleted in one transaction, for one reason."""

    because: ClosedBecause
    transports: Sequence[GoneTransport]
    producers: Sequence[GoneProducer]
    consumers: Sequence[GoneConsumer]

    def told(self) -> list[Told]:
        """Return the events: of a producer to everybody, of consumers and transports to whose they were."""
        transports = {transport.id for transport in self.transports}
        producers = {producer.id for producer in self.producers}
        return [
            *(self._producer(gone, gone.transport in transports) for gone in self.producers),
            *(
                self._consumer(gone, gone.transport in transports, gone.producer in producers)
                for gone in self.consumers
            ),
            *(self._transport(gone) for gone in self.transports),
        ]

    @property
    def _with_transport(self) -> ClosedBecause:
        return "transport_closed" if self.because == "closed" else self.because

    def _producer(self, gone: GoneProducer, with_transport: bool) -> Told:
        reason = self._with_transport if with_transport else self.because
        return Told(ProducerClosedEvent(producer_id=gone.id, participant_id=gone.participant, reason=reason))

    def _consumer(self, gone: GoneConsumer, with_transport: bool, with_producer: bool) -> Told:
        reason: ClosedBecause = self.because
        if with_transport:
            reason = self._with_transport
        elif with_producer:
            reason = "producer_closed"
        event = ConsumerClosedEvent(
            consumer_id=gone.id, producer_id=gone.producer, participant_id=gone.participant, reason=reason
        )
        return Told(event, gone.participant)

    def _transport(self, gone: GoneTransport) -> Told:
        event = TransportClosedEvent(
            transport_id=gone.id, participant_id=gone.participant, direction=gone.direction, reason=self.because
        )
        return Told(event, gone.participant)
