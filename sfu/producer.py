"""A producer: one stream that a participant sends to a router."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from contracts.ids import ConsumerId, ProducerId
from contracts.rtp import Kind, RtpParameters
from sfu.closed import Closed
from sfu.consumer import Consumer
from sfu.ortc import NegotiatedProducer
from sfu.plane import seat
from sfu.stats import JsonObject, stream_stats

if TYPE_CHECKING:
    from sfu.transport import WebRtcTransport


class Producer:
    """Made by `WebRtcTransport.produce`. `flowing`: packets came within the last two seconds."""

    type: Literal["simple"] = "simple"

    def __init__(
        self,
        transport: WebRtcTransport,
        producer_id: ProducerId,
        kind: Kind,
        negotiated: NegotiatedProducer,
        paused: bool,
    ) -> None:
        self.id = producer_id
        self.transport = transport
        self.kind = kind
        self.rtp_parameters = RtpParameters.model_validate(negotiated.rtp_parameters)
        self.consumable = negotiated.consumable
        self.paused = paused
        self.flowing = False
        self.consumers: dict[ConsumerId, Consumer] = {}
        self._outcome: Closed | None = None

    @property
    def closed(self) -> bool:
        """Whether it was closed, or its transport."""
        return self._outcome is not None

    def pause(self) -> None:
        """Stop forwarding to every consumer."""
        if not self.paused and not self.closed:
            self.paused = True
            self.transport.plane.order(seat.PauseProducer(self.id))

    def resume(self) -> None:
        """Forward again, from a key frame on."""
        if self.paused and not self.closed:
            self.paused = False
            self.transport.plane.order(seat.ResumeProducer(self.id))

    def close(self) -> Closed:
        """Decide to end; return this producer and the consumers that closed with it, the same again for a second call."""
        if self._outcome is None:
            self._outcome = self._end()
        return self._outcome

    def parent_closed(self) -> Closed:
        """Be told that the transport closed."""
        return self.close()

    def _end(self) -> Closed:
        self._outcome = Closed()  # closed from here on, for whoever asks meanwhile
        closed = Closed(producers=(self,))
        for consumer in list(self.consumers.values()):
            closed += consumer.parent_closed()
        self.transport.plane.order(seat.RemoveProducer(self.id))
        self.transport.forget_producer(self)
        return closed

    def stats(self) -> list[JsonObject]:
        """Return one `inbound-rtp` object; none once closed."""
        if self.closed:
            return []
        counters = self.transport.plane.producer_stats(self.id)
        return [stream_stats("inbound-rtp", self.kind, self.transport.timestamp(), counters)]
