"""A consumer: one producer's stream, sent to one participant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from contracts.ids import ConsumerId, ProducerId
from contracts.rtp import Kind, RtpParameters
from sfu.closed import Closed
from sfu.plane import seat
from sfu.stats import JsonObject, stream_stats

if TYPE_CHECKING:
    from sfu.producer import Producer
    from sfu.transport import WebRtcTransport


class Consumer:
    """Made by `WebRtcTransport.consume`. Has two parents: its transport and its producer."""

    type: Literal["simple"] = "simple"

    def __init__(
        self,
        transport: WebRtcTransport,
        consumer_id: ConsumerId,
        producer: Producer,
        rtp_parameters: RtpParameters,
        paused: bool,
    ) -> None:
        self.id = consumer_id
        self.transport = transport
        self.producer = producer
        self.rtp_parameters = rtp_parameters
        self.paused = paused
        self._outcome: Closed | None = None

    @property
    def kind(self) -> Kind:
        """The producer's kind."""
        return self.producer.kind

    @property
    def producer_id(self) -> ProducerId:
        """The producer's id."""
        return self.producer.id

    @property
    def producer_paused(self) -> bool:
        """Whether the producer is paused; then nothing is sent either."""
        return self.producer.paused

    @property
    def closed(self) -> bool:
        """Whether it was closed, or a parent of it."""
        return self._outcome is not None

    def pause(self) -> None:
        """Send nothing."""
        if not self.paused and not self.closed:
            self.paused = True
            self.transport.plane.order(seat.PauseConsumer(self.id))

    def resume(self) -> None:
        """Send again, from a key frame on, sequence numbers without a hole."""
        if self.paused and not self.closed:
            self.paused = False
            self.transport.plane.order(seat.ResumeConsumer(self.id))

    def request_key_frame(self) -> None:
        """Ask the producer for a key frame; nothing for audio."""
        if self.kind is Kind.VIDEO and not self.closed:
            self.transport.plane.order(seat.RequestKeyFrame(self.producer.id))

    def close(self) -> Closed:
        """Decide to end; return this consumer, the same again for a second call."""
        if self._outcome is None:
            self._outcome = Closed(consumers=(self,))
            self.transport.plane.order(seat.RemoveConsumer(self.id))
            self.transport.consumers.pop(self.id, None)
            self.producer.consumers.pop(self.id, None)
        return self._outcome

    def parent_closed(self) -> Closed:
        """Be told that the transport or the producer closed."""
        return self.close()

    def stats(self) -> list[JsonObject]:
        """Return one `outbound-rtp` object, then the producer's own; none once closed."""
        if self.closed:
            return []
        counters = self.transport.plane.consumer_stats(self.id)
        own = stream_stats("outbound-rtp", self.kind, self.transport.timestamp(), counters)
        return [own, *self.producer.stats()]
