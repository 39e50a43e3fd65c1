"""A stream that comes in: found by its SSRC or MID, counted, repaired (NACK, RTX), handed to its consumers in the order it came."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from sfu.packets import rtcp
from sfu.packets.payload import begins_key_frame, recognizable
from sfu.packets.reception import Reception
from sfu.packets.rtp import RtpPacket
from sfu.plane.reference.keyframe import KeyFrameRequests
from sfu.plane.reference.nack import NackGenerator
from sfu.plane.reference.outbound import VIDEO_AGE, Arrival, Outbound
from sfu.plane.seat import AddProducer, Codec, StreamStats

SILENCE = 2.0
MAX_NACKED = 250
"""Numbers that one NACK asks for, so that it fits a packet however far apart they are."""
MAX_OVERTAKEN = 100
"""How many packets may overtake the begin of a key frame that receivers begin with."""


class Inbound:
    """One producer's stream. A late packet counts only if it was missing, so nothing is forwarded twice."""

    def __init__(self, order: AddProducer, feedback: Callable[[bytes], None]) -> None:
        self.order, self.paused, self.outbounds = order, order.paused, list[Outbound]()
        self.ssrc, self.rtx_ssrc = order.ssrc, order.rtx_ssrc
        self.stats = StreamStats(mime_type=order.codecs[0].mime_type)
        self.heard_at: float | None = None
        self.clock: tuple[int, int, float] | None = None
        """The last sender report: NTP time, RTP timestamp, when it came."""
        self.key_frames, self._nack, self._reception = KeyFrameRequests(), NackGenerator(), Reception()
        self._repairs, self._repaired_anew = Reception(), False
        self._feedback = feedback
        self._codecs = {codec.payload_type: codec for codec in order.codecs}
        self._rtx = {codec.rtx_payload_type: codec for codec in order.codecs if codec.rtx_payload_type is not None}
        self.gated = order.kind == "video" and recognizable(order.codecs[0].mime_type)
        self._full_requests, self._counted = 0, 0
        self._lately: dict[int, tuple[Arrival, float]] = {}

    def latch(self, packet: RtpPacket) -> bool:
        """Take a stream that named our MID, if that SSRC is not known yet and the payload type is ours."""
        if self.ssrc is None and packet.payload_type in self._codecs:
            self.ssrc = packet.ssrc
        elif self.rtx_ssrc is None and packet.payload_type in self._rtx:
            self.rtx_ssrc = packet.ssrc
        return packet.ssrc in (self.ssrc, self.rtx_ssrc)

    def receive(self, packet: RtpPacket, now: float) -> None:
        """Take a packet of the stream or of its retransmissions."""
        if packet.ssrc != self.ssrc:
            codec = self._rtx.get(packet.payload_type)
            extended = self._unwrap(packet, codec, now) if codec else None
        else:
            codec = self._codecs.get(packet.payload_type)
            extended = (
                self._reception.received(packet.sequence, packet.timestamp, codec.clock_rate, now) if codec else None
            )
            self.stats.packets_discarded += extended is None
        if codec is None or extended is None:
            return
        self.stats.packet_count += 1
        self.stats.byte_count += len(packet.payload)
        self.heard_at = now
        key_frame = begins_key_frame(codec.mime_type, packet.payload)
        if self.paused:
            return
        newest = extended == self._reception.highest
        if self._nack.overflows(extended):
            self.ask()
        if not self._nack.received(extended, key_frame, now):
            self.stats.packets_discarded += 1
            return
        begins = key_frame and (self._reception.highest or 0) - extended <= MAX_OVERTAKEN
        if begins:
            self.key_frames.arrived()
        may_begin = begins or (newest and not self.gated)
        arrival = Arrival(packet, codec.mapped_payload_type, extended, newest, may_begin)
        if self.outbounds:
            self._lately = {each: at for each, at in self._lately.items() if each + MAX_OVERTAKEN >= extended}
            self._lately[extended] = (arrival, now)
        for outbound in self.outbounds:
            began = not outbound.synced
            if not outbound.forward(arrival, now):
                self.ask()
            elif began and outbound.synced and not newest:
                self._forward_after(extended, outbound, now)
        if self.key_frames.wanted:
            self.repair(now)

    def _forward_after(self, extended: int, outbound: Outbound, now: float) -> None:
        """Send what overtook the key frame that a receiver began with."""
        for each, (arrival, at) in sorted(self._lately.items()):
            if each > extended and now - at <= VIDEO_AGE:
                outbound.forward(arrival, now)

    def forget(self) -> None:
        """Keep nothing: nobody receives it."""
        self._lately.clear()

    def ask(self) -> None:
        """Want a key frame, if this stream has any."""
        self.key_frames.wanted = self.gated or self.key_frames.wanted

    def _unwrap(self, packet: RtpPacket, codec: Codec, now: float) -> int | None:
        """Undo RFC 4588 in place; None unless the original was missing (senders probe with copies and padding)."""
        self._repairs.received(packet.sequence, packet.timestamp, codec.clock_rate, now)
        self._repaired_anew = True
        self.stats.packets_retransmitted += 1
        packet.sequence = int.from_bytes(packet.payload[:2], "big")
        extended = self._reception.extend(packet.sequence)
        if len(packet.payload) < 2 or extended not in self._nack.missing:
            return None
        packet.payload, packet.payload_type = packet.payload[2:], codec.payload_type
        self.stats.packets_repaired += 1
        self._reception.recovered()
        return extended

    def repair(self, now: float) -> None:
        """Send what is due: NACK for missing packets, a key frame request if somebody waits and the stream flows."""
        if self.ssrc is None or self.paused or self.heard_at is None or now - self.heard_at > SILENCE:
            return
        missing, in_vain = self._nack.due(now) if self._nack.missing else ([], False)
        if missing and self.order.nack:
            self.stats.nack_count += 1
            self.stats.nack_packet_count += len(missing)
            for at in range(0, len(missing), MAX_NACKED):
                part = missing[at : at + MAX_NACKED]
                self._feedback(rtcp.write_nack(self.ssrc, [each & 0xFFFF for each in part]))
        if in_vain:
            self.ask()
        if self.key_frames.due(now):
            self._request_key_frame(self.ssrc)

    @property
    def needs_repair(self) -> bool:
        """Whether `repair` could have something to do."""
        return self.key_frames.wanted or bool(self._nack.missing)

    def _request_key_frame(self, ssrc: int) -> None:
        if self.order.pli:
            self.stats.pli_count += 1
            self._feedback(rtcp.write_key_frame_request(ssrc))
        elif self.order.fir:
            self.stats.fir_count += 1
            self._full_requests += 1
            self._feedback(rtcp.write_key_frame_request(ssrc, self._full_requests))

    def pause(self) -> None:
        """Forward nothing; count on."""
        self.paused = True
        self._nack = NackGenerator()

    def resume(self) -> None:
        """Forward from the next key frame on."""
        self.paused = False
        for outbound in self.outbounds:
            outbound.synced = False
        self.ask()

    def sender_reported(self, report: rtcp.SenderReport, now: float) -> None:
        """Keep the sender's clock, for our own reports to it and for its receivers'."""
        self.clock = (report.ntp, report.timestamp, now)
        self._reception.sender_reported(report.ntp, now)

    def reports(self, now: float) -> Iterator[rtcp.Report]:
        """Yield the blocks of this second's receiver report (retransmissions have no jitter: they are old), and settle the second's rates."""
        self.stats.bitrate, self._counted = (self.stats.byte_count - self._counted) * 8, self.stats.byte_count
        report = self._reception.report(self.ssrc, now) if self.ssrc is not None else None
        if report:
            yield report
        report = self._repairs.report(self.rtx_ssrc, now) if self.rtx_ssrc is not None and self._repaired_anew else None
        self._repaired_anew = False
        if report:
            yield replace(report, jitter=0)

    def snapshot(self) -> StreamStats:
        """Return the counters as they are."""
        reception = self._reception
        return replace(
            self.stats, ssrc=self.ssrc or 0, rtx_ssrc=self.rtx_ssrc, packets_lost=max(0, reception.lost),
            fraction_lost=reception.fraction_lost, jitter=reception.jitter,
        )  # fmt: skip
