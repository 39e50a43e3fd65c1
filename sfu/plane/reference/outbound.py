"""A stream that goes out: renumbered without holes over pause and resume, kept for a while, sent again on request.

Forwarding begins with a key frame (where the codec shows one), at a packet that came in order. What is late for that is dropped,
and what was sent before a pause is not sent again after it: the receiver begins anew.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sfu.packets import rtcp, rtp
from sfu.plane.reference.history import History
from sfu.plane.seat import AddConsumer, StreamStats
from sfu.supported import MID

VIDEO_AGE, AUDIO_AGE = 2.0, 1.0
MAX_JUMP = 3000
"""A gap after which numbers go on as if there were none, and nothing from before is sent again: it cannot be repaired."""
MAX_BEHIND = 1000
"""How far back a packet may be asked for: receivers take none that is older, their replay windows have 1,024."""
UNMEASURED = 0.05


@dataclass(slots=True)
class Arrival:
    """A producer's packet: its mapped payload type, its extended number, whether it is the newest and may be a first one."""

    packet: rtp.RtpPacket
    payload_type: int
    extended: int
    newest: bool
    may_begin: bool


class Outbound:
    """One consumer's stream. `send(packet, retransmission)` seals and sends on its transport."""

    def __init__(
        self, order: AddConsumer, source: dict[str, int], video: bool, send: Callable[[bytes, bool], None]
    ) -> None:
        self.order, self.paused = order, order.paused
        self.reachable, self.synced = False, False
        self.stats = StreamStats(ssrc=order.ssrc, rtx_ssrc=order.rtx_ssrc)
        self._send = send
        self._extensions = {source[uri]: each for uri, each in order.extensions.items() if uri in source and uri != MID}
        self._mid = [(order.extensions[MID], order.mid.encode())] if MID in order.extensions else []
        self._next, self._next_rtx = order.first_sequence, order.first_rtx_sequence
        self._first, self._last, self._offset = 0, 0, 0
        self._history = History(VIDEO_AGE if video else AUDIO_AGE)
        self._reports: dict[int, float] = {}
        self._counted, self._reported = 0, 0

    def forward(self, arrival: Arrival, now: float) -> bool:
        """Send a producer's packet on; False if a key frame is needed before anything can be sent."""
        packet, payload_type, extended, newest = arrival.packet, arrival.payload_type, arrival.extended, arrival.newest
        if self.paused or not self.reachable or payload_type not in self.order.payload_types:
            self.synced = False
            return True
        if not self.synced:
            if not arrival.may_begin:
                return False
            self.synced = True
            self._begin(extended)
        elif newest and extended - self._last > MAX_JUMP:
            self._begin(extended)
        if extended < self._first:
            return True
        self._last = max(self._last, extended)
        number = extended + self._offset
        self._next = max(self._next, number + 1)
        extensions = [(self._extensions[each], value) for each, value in packet.extensions if each in self._extensions]
        data = rtp.write(packet, payload_type, number & 0xFFFF, self.order.ssrc, extensions + self._mid)
        self._history.add(number & 0xFFFF, data, now)
        self.stats.packet_count += 1
        self.stats.byte_count += len(packet.payload)
        self._send(data, False)
        return True

    def _begin(self, extended: int) -> None:
        self._history.clear()
        self._first, self._last, self._offset = extended, extended, self._next - extended

    def nacked(self, sequences: list[int], now: float) -> None:
        """Send again what is still there: wrapped as RTX where negotiated, else byte for byte."""
        self.stats.nack_count += 1
        self.stats.nack_packet_count += len(sequences)
        round_trip = self.stats.round_trip_time / 1000 or UNMEASURED
        for sequence in sequences:
            if not self.synced or (self._next - 1 - sequence) & 0xFFFF >= MAX_BEHIND:
                continue
            packet = self._history.again(sequence, now, min(0.1, max(0.01, round_trip)))
            if packet is None:
                continue
            self.stats.packets_retransmitted += 1
            rtx = self.order.payload_types.get(packet[1] & 0x7F)
            if rtx is not None and self.order.rtx_ssrc is not None:
                packet = rtp.write_rtx(packet, rtx, self._next_rtx & 0xFFFF, self.order.rtx_ssrc)
                self._next_rtx += 1
            self._send(packet, True)

    def reported(self, report: rtcp.Report, now: float) -> None:
        """Take the receiver's view of this stream."""
        self.stats.packets_lost, self.stats.fraction_lost = max(0, report.lost), report.fraction_lost
        self.stats.jitter = report.jitter
        sent_at = self._reports.get(report.last_report)
        if sent_at is not None:
            self.stats.round_trip_time = max(0.0, (now - sent_at - report.delay / 65536) * 1000)

    def report(self, clock: tuple[int, int, float] | None, clock_rate: int, now: float) -> bytes | None:
        """Return this second's sender report in the producer's clock, None while nothing is sent; settle the second's rates."""
        self.stats.bitrate, self._counted = (self.stats.byte_count - self._counted) * 8, self.stats.byte_count
        if clock is None or self.stats.packet_count == self._reported:
            return None
        self._reported = self.stats.packet_count
        ntp, timestamp, at = clock
        ntp = ntp + int((now - at) * 2**32) & 2**64 - 1
        self._reports[ntp >> 16 & 0xFFFFFFFF] = now
        if len(self._reports) > 10:
            del self._reports[next(iter(self._reports))]
        timestamp = timestamp + int((now - at) * clock_rate) & 0xFFFFFFFF
        stats = self.stats
        mapped = rtcp.SenderReport(self.order.ssrc, ntp, timestamp)
        return rtcp.write_sender_report(mapped, stats.packet_count, stats.byte_count, self.order.cname)

    def snapshot(self, mime_type: str) -> StreamStats:
        """Return the counters as they are."""
        return replace(self.stats, mime_type=mime_type)
