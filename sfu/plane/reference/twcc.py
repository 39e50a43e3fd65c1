"""What came over a transport and when, for its sender's bandwidth estimate: without it Chromium falls to 30 kbit/s.

Each feedback goes on where the last one ended; a packet that comes late rewinds it, as long as its neighbours' arrivals are
remembered (500 ms).
"""

from sfu.packets.transport_cc import MAX_DELTA, TICKS, write_feedback

INTERVAL = 0.100
REMEMBERED = 0.500
MAX_GAP = 1000
MAX_PACKETS = 400
"""Packets a feedback reports, so that it stays under 1,000 bytes."""
MAX_BEHIND = 4000
"""Packets that may wait for feedback; whoever skips numbers faster than that is not told of what he skipped."""


class TransportCc:
    """Arrivals of one transport, by extended transport-wide sequence number; `_next` is where the next feedback begins."""

    def __init__(self) -> None:
        self._arrivals: dict[int, int] = {}
        self._next, self._last, self._count = 0, -1, 0

    def received(self, sequence: int, now: float) -> None:
        """Take note of a transport-wide sequence number (16 bit)."""
        extended = self._last + (sequence - self._last + 0x8000 & 0xFFFF) - 0x8000
        far = abs(extended - self._last) > MAX_GAP or extended - self._next > MAX_BEHIND
        if not self._arrivals or far:
            self._arrivals.clear()
            self._next = self._last = extended
        elif extended in self._arrivals:
            return
        self._arrivals[extended] = int(now * TICKS)
        self._next, self._last = min(self._next, extended), max(self._last, extended)

    def feedback(self, now: float) -> list[bytes]:
        """Return the bodies of the feedback over what came since the last call."""
        bodies: list[bytes] = []
        while self._next <= self._last:
            end = self._end()
            bodies.append(
                write_feedback(self._next, [self._arrivals.get(each) for each in range(self._next, end)], self._count)
            )
            self._next, self._count = end, self._count + 1
        oldest = int((now - REMEMBERED) * TICKS)
        self._arrivals = {each: at for each, at in self._arrivals.items() if at >= oldest}
        return bodies

    def _end(self) -> int:
        """Return where the next body ends: an arrival too long after the one before (our loop stood still) begins another."""
        end, previous = min(self._last + 1, self._next + MAX_PACKETS), None
        for each in range(self._next, end):
            at = self._arrivals.get(each)
            if at is not None and previous is not None and abs(at - previous) > MAX_DELTA:
                return each
            previous = previous if at is None else at
        return end
