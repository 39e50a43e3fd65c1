"""One transport of the plane: its 5-tuples, its keys, and the streams in both directions that its packets are told apart into."""

from collections.abc import Callable

from contracts.ids import TransportId
from sfu.packets import rtcp, rtp
from sfu.packets.srtp import Srtp
from sfu.plane.reference.ice import Address, IceLite
from sfu.plane.reference.inbound import Inbound
from sfu.plane.reference.outbound import Outbound
from sfu.plane.reference.probation import Probation
from sfu.plane.reference.twcc import TransportCc
from sfu.plane.seat import IceCredentials, Probe, StreamSilent, StreamStarted, TransportStats
from sfu.supported import MID, TRANSPORT_WIDE_CC

Emit = Callable[[StreamStarted | StreamSilent], None]


class Transport:
    """Packets in and out of one peer. Media is taken only when the keys are there."""

    def __init__(
        self, name: TransportId, ice: IceCredentials, send: Callable[[bytes, Address], None], emit: Emit
    ) -> None:
        self.name, self.ice, self.stats = name, IceLite(ice), TransportStats()
        self.srtp: Srtp | None = None
        self.outbounds: dict[int, tuple[Outbound, Inbound]] = {}
        self.inbounds: dict[int, Inbound] = {}
        self._mids: dict[str, Inbound] = {}
        self._mid_id: int | None = None
        self._transport_cc_id: int | None = None
        self._transport_cc, self._media_ssrc, self._probation = TransportCc(), 0, Probation()
        self._send, self._emit = send, emit

    def add(self, stream: Inbound) -> None:
        """Tell this stream's packets apart from now on."""
        order = stream.order
        self.inbounds.update((ssrc, stream) for ssrc in (order.ssrc, order.rtx_ssrc) if ssrc is not None)
        if order.mid is not None:
            self._mids[order.mid] = stream
            self._mid_id = order.extensions.get(MID, self._mid_id)
        if order.transport_cc:
            self._transport_cc_id = order.extensions.get(TRANSPORT_WIDE_CC, self._transport_cc_id)

    def remove(self, stream: Inbound) -> None:
        """Forget a stream."""
        for ssrc in [ssrc for ssrc, each in self.inbounds.items() if each is stream]:
            del self.inbounds[ssrc]
        self._mids = {mid: each for mid, each in self._mids.items() if each is not stream}

    def drop(self, outbound: Outbound) -> None:
        """Send nothing more of a stream."""
        del self.outbounds[outbound.order.ssrc]
        for ssrc in (outbound.order.ssrc, outbound.order.rtx_ssrc):
            if self.srtp and ssrc is not None:
                self.srtp.sent_last(ssrc)

    def send(self, datagram: bytes) -> None:
        """Send to the selected 5-tuple, if there is one."""
        if self.ice.selected is not None:
            self.stats.bytes_sent += len(datagram)
            self._send(datagram, self.ice.selected)

    def send_rtcp(self, packet: bytes) -> None:
        """Seal and send RTCP."""
        sealed = self.srtp.seal(packet, rtcp=True) if self.srtp else None
        if sealed:
            self.send(sealed)

    def send_rtp(self, packet: bytes, retransmission: bool) -> None:
        """Seal and send RTP."""
        sealed = self.srtp.seal(packet, rtcp=False) if self.srtp else None
        if not sealed:
            return
        if retransmission:
            self.stats.rtx_bytes_sent += len(packet)
        else:
            self.stats.rtp_bytes_sent += len(packet)
        self.send(sealed)

    def probe(self, order: Probe, now: float) -> None:
        """Send padding, if media would get there."""
        if self.srtp is None or self.ice.selected is None:
            return
        for packet in self._probation.packets(order, now):
            sealed = self.srtp.seal(packet, rtcp=False)
            if sealed:
                self.send(sealed)

    def media(self, data: bytes, address: Address, now: float) -> bool:
        """Take an SRTP or SRTCP packet; False if it was nothing for us (RFC 5761 §4 tells the two apart)."""
        is_rtcp = len(data) > 1 and 192 <= data[1] <= 223
        plain = self.srtp.open(data, is_rtcp) if self.srtp and len(data) >= 12 else None
        if plain is None:
            return False
        self.ice.heard(address, now)
        if is_rtcp:
            for each in rtcp.parse(plain):
                self._rtcp(each, now)
            return True
        packet = rtp.parse(plain)
        return packet is not None and self._rtp(packet, len(plain), now)

    def _rtp(self, packet: rtp.RtpPacket, size: int, now: float) -> bool:
        if self._transport_cc_id is not None:
            wide = packet.extension(self._transport_cc_id)
            if wide is not None and len(wide) == 2:
                self._transport_cc.received(int.from_bytes(wide, "big"), now)
                self._media_ssrc = packet.ssrc
        stream = self.inbounds.get(packet.ssrc) or self._latch(packet)
        if stream is None:
            return False
        if packet.ssrc == stream.ssrc:
            self.stats.rtp_bytes_received += size
        else:
            self.stats.rtx_bytes_received += size
        was_silent = stream.heard_at is None
        stream.receive(packet, now)
        if was_silent and stream.heard_at is not None:
            self._emit(StreamStarted(stream.order.producer))
        return True

    def _latch(self, packet: rtp.RtpPacket) -> Inbound | None:
        mid = packet.extension(self._mid_id) if self._mid_id is not None else None
        stream = self._mids.get(mid.decode("utf-8", "replace")) if mid else None
        if stream is None or not stream.latch(packet):
            return None
        self.inbounds[packet.ssrc] = stream
        return stream

    def _rtcp(self, packet: rtcp.Rtcp, now: float) -> None:
        if isinstance(packet, rtcp.Goodbye):
            for stream in dict.fromkeys(self.inbounds[ssrc] for ssrc in packet.ssrcs if ssrc in self.inbounds):
                self._silence(stream, goodbye=True)
        elif isinstance(packet, rtcp.SenderReport):
            if packet.ssrc in self.inbounds and self.inbounds[packet.ssrc].ssrc == packet.ssrc:
                self.inbounds[packet.ssrc].sender_reported(packet, now)
        elif packet.ssrc in self.outbounds:
            self._feedback(packet, *self.outbounds[packet.ssrc], now)

    def _feedback(
        self, packet: rtcp.Report | rtcp.Nack | rtcp.KeyFrameRequest, to: Outbound, source: Inbound, now: float
    ) -> None:
        if isinstance(packet, rtcp.Report):
            to.reported(packet, now)
        elif isinstance(packet, rtcp.Nack):
            to.nacked(packet.sequences, now)
        else:
            to.stats.pli_count += not packet.full
            to.stats.fir_count += packet.full
            source.ask()
            source.repair(now)

    def _silence(self, stream: Inbound, goodbye: bool) -> None:
        if stream.heard_at is not None:
            stream.heard_at = None
            self._emit(StreamSilent(stream.order.producer, goodbye))

    def every_100_ms(self, now: float) -> None:
        """Send transport-wide feedback."""
        for body in self._transport_cc.feedback(now):
            self.send_rtcp(rtcp.write_transport_cc(self._media_ssrc, body))

    def every_second(self, now: float, silence: float) -> None:
        """Send this second's reports; notice streams that fell silent."""
        reports: list[rtcp.Report] = []
        for stream in dict.fromkeys(self.inbounds.values()):
            if stream.heard_at is not None and now - stream.heard_at > silence:
                self._silence(stream, goodbye=False)
            reports.extend(stream.reports(now))
        for packet in rtcp.write_receiver_reports(reports):
            self.send_rtcp(packet)
        for outbound, source in self.outbounds.values():
            report = outbound.report(source.clock, source.order.codecs[0].clock_rate, now)
            if report:
                self.send_rtcp(report)
