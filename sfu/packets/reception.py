"""What a receiver knows of a stream (RFC 3550 A.1, A.3, A.8): extended sequence numbers, loss, jitter, the report block."""

from sfu.packets.rtcp import Report

MAX_DROPOUT = 3000
MAX_MISORDER = 1500


class Reception:
    """Statistics of one SSRC. An extended sequence number counts its wraps and never goes back, even when a sender begins anew."""

    def __init__(self) -> None:
        self.highest: int | None = None
        self._base = 0
        self._suspect: int | None = None
        self._transit: float | None = None
        self._jitter = 0.0
        self._received = 0
        self._prior = (0, 0)
        self.fraction_lost = 0
        self._sender_report: tuple[int, float] | None = None

    @property
    def jitter(self) -> int:
        """Interarrival jitter in ticks of the media clock."""
        return int(self._jitter)

    @property
    def lost(self) -> int:
        """Packets expected and not received; negative with duplicates."""
        return 0 if self.highest is None else self.highest - self._base + 1 - self._received

    def extend(self, sequence: int) -> int:
        """Return the extended number nearest to the highest one."""
        if self.highest is None:
            return sequence + 0x10000
        return self.highest + (sequence - self.highest + 0x8000 & 0xFFFF) - 0x8000

    def received(self, sequence: int, timestamp: int, clock_rate: int, now: float) -> int | None:
        """Count a packet and return its extended number; None if it is far off and the next did not follow it (A.1)."""
        extended = self.extend(sequence)
        if self.highest is None:
            self._base = self.highest = extended
        elif not -MAX_MISORDER < extended - self.highest < MAX_DROPOUT:
            if self._suspect != sequence:
                self._suspect = sequence + 1 & 0xFFFF
                return None
            extended += 0x10000 if extended < self.highest else 0
            self._base, self.highest, self._received, self._prior = extended, extended, 0, (0, 0)
        self._suspect = None
        self._received += 1
        if extended >= self.highest:
            self.highest = extended
            self._measure(timestamp, clock_rate, now)
        return extended

    def recovered(self) -> None:
        """Count a packet that came by retransmission: it is not lost any more."""
        self._received += 1

    def _measure(self, timestamp: int, clock_rate: int, now: float) -> None:
        transit = now * clock_rate - timestamp
        if self._transit is not None:
            difference = abs(transit - self._transit)
            if difference < 5 * clock_rate:  # else the timestamps wrapped or jumped
                self._jitter += (difference - self._jitter) / 16
        self._transit = transit

    def sender_reported(self, ntp: int, now: float) -> None:
        """Remember when a sender report came, for the sender's round trip."""
        self._sender_report = (ntp >> 16 & 0xFFFFFFFF, now)

    def report(self, ssrc: int, now: float) -> Report | None:
        """Return the block of a receiver report over what came since the last one; None before anything came."""
        if self.highest is None:
            return None
        expected = self.highest - self._base + 1
        interval, arrived = expected - self._prior[0], self._received - self._prior[1]
        self._prior = (expected, self._received)
        self.fraction_lost = min(255, max(0, (interval - arrived) * 256 // interval)) if interval > 0 else 0
        last_report, at = self._sender_report or (0, now)
        lost = max(-0x800000, min(0x7FFFFF, self.lost))
        delay = min(0xFFFFFFFF, int((now - at) * 65536))
        highest = self.highest - 0x10000 & 0xFFFFFFFF  # the first packet is of cycle 0 for the sender
        return Report(ssrc, self.fraction_lost, lost, highest, self.jitter, last_report, delay)
