"""A transport: ICE-lite, DTLS and the streams of one participant's direction.

It closes by order (`close`) or because its peer is gone: DTLS closed or failed, consent lost. Then it closes itself and
everything on it first, and tells `on_closed`, who learns from `close()` what went. CLOSING.md has the whole story.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from contracts.ids import ConsumerId, ProducerId, TransportId
from contracts.rtp import DtlsParameters, IceCandidate, IceParameters, Kind, RtpCapabilities, RtpParameters
from sfu import ortc, random_numbers, streams
from sfu.closed import Closed
from sfu.consumer import Consumer
from sfu.errors import InvalidRtpParameters, InvalidState, UnsupportedCodec
from sfu.handshake import Handshake
from sfu.plane import seat
from sfu.producer import Producer
from sfu.stats import JsonObject, transport_stats
from sfu.webrtc import FINGERPRINT_ALGORITHMS, Dtls

if TYPE_CHECKING:
    from sfu.router import Router

logger = logging.getLogger(__name__)

IceState = Literal["new", "connected", "completed", "disconnected"]
DtlsState = Literal["new", "connecting", "connected", "failed", "closed"]
MAX_PRODUCERS, MAX_CONSUMERS = 256, 1024


class WebRtcTransport:
    """Made by `Router.create_webrtc_transport`, and answers ICE checks from then on."""

    def __init__(self, router: Router, transport_id: TransportId) -> None:
        worker = router.worker
        self.id = transport_id
        self.router = router
        self.plane = worker.plane
        self.producers: dict[ProducerId, Producer] = {}
        self.consumers: dict[ConsumerId, Consumer] = {}
        self.ice_state: IceState = "new"
        self.dtls_state: DtlsState = "new"
        self.on_closed: Callable[[WebRtcTransport, str], None] | None = None
        self.ice_selected: tuple[str, int] | None = None
        self.ice_protocol: Literal["udp", "tcp"] = "udp"
        self.dtls_parameters = DtlsParameters(role="auto", fingerprints=worker.certificate.fingerprints())
        self.ice_candidates: list[IceCandidate] = self.plane.candidates()
        credentials = random_numbers.ice_credentials(worker.random)
        self.ice_parameters = _ice_parameters(credentials)
        self._random = worker.random
        self._loop = asyncio.get_running_loop()
        self._cname: str | None = None
        self._next_mid = 0
        self._sent_ssrcs: set[int] = set()
        self._outcome: Closed | None = None
        self._dtls = Dtls(worker.certificate, self._send_dtls, self._keyed, self._dtls_changed)
        self._handshake = Handshake(
            self._dtls, lambda: self._close_by_itself("consent_lost"), reachable=self.plane.reachable
        )
        self.plane.order(seat.OpenTransport(transport_id, credentials))

    @property
    def closed(self) -> bool:
        """Whether it was closed, or its router, or it closed by itself."""
        return self._outcome is not None

    def timestamp(self) -> int:
        """Return the loop's clock in milliseconds, for stats."""
        return int(self._loop.time() * 1000)

    async def connect(self, dtls_parameters: DtlsParameters) -> None:
        """Learn who the peer is; the handshake goes on by itself. The same parameters again are fine.

        Raises InvalidState (closed, other parameters than before), InvalidRtpParameters (no fingerprint that can be verified).
        """
        self._check_open()
        if self._handshake.peer is not None:
            if self._handshake.peer == dtls_parameters:
                return
            raise InvalidState(f"transport {self.id} is connected already, with other DTLS parameters")
        if not any(each.algorithm.lower() in FINGERPRINT_ALGORITHMS for each in dtls_parameters.fingerprints):
            raise InvalidRtpParameters("dtlsParameters has no fingerprint of a known algorithm")
        self.dtls_state = "connecting"
        self._handshake.announce(dtls_parameters)

    def restart_ice(self) -> IceParameters:
        """Make new ICE credentials; the old ones hold until a check uses the new. Raises InvalidState (closed)."""
        self._check_open()
        credentials = random_numbers.ice_credentials(self._random)
        self.ice_parameters = _ice_parameters(credentials)
        self.plane.order(seat.RestartIce(self.id, credentials))
        self._handshake.restarted()
        return self.ice_parameters

    def produce(self, producer_id: ProducerId, kind: Kind, rtp_parameters: RtpParameters, paused: bool) -> Producer:
        """Take one stream in. Nothing is changed when it raises.

        Raises InvalidState (closed, the id is taken, too many), InvalidRtpParameters (malformed, or an ssrc or mid of
        another producer on this transport), UnsupportedCodec (unknown to the router, or simulcast or SVC).
        """
        self._check_open()
        if producer_id in self.router.worker.producers or len(self.producers) >= MAX_PRODUCERS:
            raise InvalidState(f"producer {producer_id} exists already, or the transport has {MAX_PRODUCERS}")
        given = rtp_parameters.as_json()
        negotiated = ortc.negotiate_producer(
            kind.value, given, self.router.rtp_capabilities, lambda: random_numbers.ssrc(self._random)
        )
        if negotiated.type != "simple":
            raise UnsupportedCodec(f"this packet plane forwards one stream a producer, not {negotiated.type}")
        streams.check_free(negotiated.rtp_parameters, self.producers.values())
        order = streams.add_producer(self.id, producer_id, kind, negotiated, paused)
        self._cname = (
            self._cname or negotiated.rtp_parameters["rtcp"].get("cname") or random_numbers.cname(self._random)
        )
        producer = Producer(self, producer_id, kind, negotiated, paused)
        producer.consumable = {**negotiated.consumable, "rtcp": {**negotiated.consumable["rtcp"], "cname": self._cname}}
        self.plane.order(order)
        self.producers[producer_id] = self.router.producers[producer_id] = producer
        self.router.worker.producers[producer_id] = producer
        return producer

    def consume(
        self, consumer_id: ConsumerId, producer_id: ProducerId, rtp_capabilities: RtpCapabilities, paused: bool
    ) -> Consumer:
        """Send a producer's stream to a receiver with these capabilities. Nothing is changed when it raises.

        Raises InvalidState (closed, no such producer, the id is taken, too many), InvalidRtpParameters, UnsupportedCodec.
        """
        self._check_open()
        if len(self.consumers) >= MAX_CONSUMERS:
            raise InvalidState(f"transport {self.id} has {MAX_CONSUMERS} consumers")
        producer = self.router.producers.get(producer_id)
        if producer is None or consumer_id in self.consumers:
            raise InvalidState(
                f"no producer {producer_id}" if producer is None else f"consumer {consumer_id} exists already"
            )
        params = streams.consumed(producer.consumable, rtp_capabilities, self._free_ssrc, mid=str(self._next_mid))
        sequences = (random_numbers.first_sequence(self._random), random_numbers.first_sequence(self._random))
        order = streams.add_consumer(
            self.id, consumer_id, producer_id, params, first_sequences=sequences, paused=paused
        )
        consumer = Consumer(self, consumer_id, producer, RtpParameters.model_validate(params), paused)
        self._next_mid += 1
        self.consumers[consumer_id] = producer.consumers[consumer_id] = consumer
        self.plane.order(order)
        return consumer

    def _free_ssrc(self) -> int:
        """Draw an ssrc that, with its successor for retransmissions, was never sent with under this transport's keys."""
        while True:
            drawn = random_numbers.ssrc(self._random)
            if self._sent_ssrcs.isdisjoint((drawn, drawn + 1)):
                self._sent_ssrcs |= {drawn, drawn + 1}
                return drawn

    def close(self) -> Closed:
        """Decide to end: tell the peer, close what hangs from it. Return what closed, the same again for a second call."""
        if self._outcome is None:
            self._outcome = self._end()
        return self._outcome

    def parent_closed(self) -> Closed:
        """Be told that the router closed."""
        return self.close()

    def _end(self) -> Closed:
        self._outcome = Closed()  # closed from here on, for whoever asks meanwhile
        closed = Closed(transports=(self,))
        for producer in list(self.producers.values()):
            closed += producer.parent_closed()
        for consumer in list(self.consumers.values()):
            closed += consumer.parent_closed()
        self._handshake.over()
        self._dtls.close()
        self.dtls_state = "failed" if self.dtls_state == "failed" else "closed"
        self.plane.order(seat.CloseTransport(self.id))
        del self.router.transports[self.id], self.router.worker.transports[self.id]
        return closed

    def forget_producer(self, producer: Producer) -> None:
        """Drop a producer that closed from every list that has it."""
        for producers in (self.producers, self.router.producers, self.router.worker.producers):
            producers.pop(producer.id, None)

    def stats(self) -> list[JsonObject]:
        """Return one object; none once closed."""
        if self.closed:
            return []
        stats = transport_stats(self.id, self.timestamp(), self.plane.transport_stats(self.id))
        stats |= {"iceRole": "controlled", "iceState": self.ice_state, "dtlsState": self.dtls_state}
        if self.ice_selected is not None:
            ours = next(each for each in self.ice_candidates if each.protocol == self.ice_protocol)
            ip, port = self.ice_selected
            local: JsonObject = {"localAddress": ours.address, "localIp": ours.address, "localPort": ours.port}
            stats["iceSelectedTuple"] = {**local, "remoteIp": ip, "remotePort": port, "protocol": self.ice_protocol}
        return [stats]

    def plane_event(self, event: seat.IceSelected | seat.IceLost | seat.DatagramReceived) -> None:
        """Take what the plane tells of this transport."""
        match event:
            case seat.DatagramReceived(_, data):
                self._dtls.received(data)
            case seat.IceSelected(_, address, nominated, protocol):
                self.ice_selected, self.ice_protocol = address, protocol
                self.ice_state = "completed" if nominated else "connected"
                self._handshake.came()
            case seat.IceLost():
                self.ice_state, self.ice_selected = "disconnected", None
                self._close_by_itself("consent_lost")

    def _send_dtls(self, data: bytes) -> None:
        self.plane.order(seat.SendDatagram(self.id, data))

    def _keyed(self, profile: str, receive_key: bytes, send_key: bytes) -> None:
        self.plane.order(seat.SecureTransport(self.id, profile, receive_key, send_key))

    def _dtls_changed(self, state: str) -> None:
        if state == "connected":
            self.dtls_state = "connected"
            self._handshake.over()
        elif state == "failed":
            self.dtls_state = "failed"
            self._close_by_itself("dtls_failed")
        elif state == "closed":
            self.dtls_state = "closed"
            self._close_by_itself("dtls_closed")

    def _close_by_itself(self, reason: str) -> None:
        if self.closed:
            return
        self.close()
        logger.info("transport %s closed: %s", self.id, reason)
        if self.on_closed is not None:
            try:
                self.on_closed(self, reason)
            except Exception:
                logger.exception("who listens to transport %s failed", self.id)

    def _check_open(self) -> None:
        if self.closed:
            raise InvalidState(f"transport {self.id} is closed")


def _ice_parameters(credentials: seat.IceCredentials) -> IceParameters:
    return IceParameters(username_fragment=credentials.username_fragment, password=credentials.password, ice_lite=True)
