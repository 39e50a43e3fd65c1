"""A router: transports whose producers and consumers may be joined, and the codecs they agree on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contracts.ids import ProducerId, RouterId, TransportId
from contracts.rtp import RtpCapabilities
from sfu import ortc
from sfu.closed import Closed
from sfu.errors import InvalidState, SfuError
from sfu.ortc_shapes import RtpCapabilitiesJson, RtpCodecCapabilityJson
from sfu.producer import Producer
from sfu.transport import WebRtcTransport

if TYPE_CHECKING:
    from sfu.worker import Worker


class Router:
    """Made by `Worker.create_router`."""

    def __init__(self, worker: Worker, router_id: RouterId, media_codecs: Sequence[RtpCodecCapabilityJson]) -> None:
        """Raises InvalidRtpParameters, UnsupportedCodec."""
        self.id = router_id
        self.worker = worker
        self.rtp_capabilities: RtpCapabilitiesJson = ortc.router_rtp_capabilities(
            media_codecs, transport_cc_to_consumers=False
        )
        self.transports: dict[TransportId, WebRtcTransport] = {}
        self.producers: dict[ProducerId, Producer] = {}
        self._outcome: Closed | None = None

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._outcome is not None

    def create_webrtc_transport(self, transport_id: TransportId) -> WebRtcTransport:
        """Make a transport that answers ICE checks from now on. Raises InvalidState (closed, the id is taken on this worker)."""
        if self.closed:
            raise InvalidState(f"router {self.id} is closed")
        if transport_id in self.worker.transports:
            raise InvalidState(f"transport {transport_id} exists already")
        transport = WebRtcTransport(self, transport_id)
        self.transports[transport_id] = self.worker.transports[transport_id] = transport
        return transport

    def can_consume(self, producer_id: ProducerId, rtp_capabilities: RtpCapabilities) -> bool:
        """Say whether a receiver with these capabilities can decode a producer; False for what is unknown or malformed."""
        producer = self.producers.get(producer_id)
        try:
            return producer is not None and ortc.can_consume(producer.consumable, rtp_capabilities.as_json())
        except SfuError:
            return False

    def close(self) -> Closed:
        """Close everything on the router and return what closed; the same again for a second call."""
        if self._outcome is None:
            self._outcome = Closed()
            for transport in list(self.transports.values()):
                self._outcome += transport.parent_closed()
            self.worker.routers.pop(self.id, None)
        return self._outcome
