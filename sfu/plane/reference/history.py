"""What was sent lately, to be sent again: bounded by count and by age. A packet is resent byte for byte or wrapped, never rewritten."""

MAX_PACKETS = 1000
MAX_RESENDS = 10
"""How often one packet is sent again: a receiver that asks without end would get many times what it is sent."""


class History:
    """Sent packets, in plain, by sequence number (mod 2^16)."""

    def __init__(self, max_age: float) -> None:
        self._max_age = max_age
        self._sent: dict[int, tuple[bytes, float]] = {}
        self._resent: dict[int, tuple[float, int]] = {}

    def add(self, sequence: int, packet: bytes, now: float) -> None:
        """Remember a packet; forget what is too old or too much."""
        self._forget(sequence)
        self._sent[sequence] = (packet, now)
        while True:
            oldest = next(iter(self._sent))
            if len(self._sent) <= MAX_PACKETS and now - self._sent[oldest][1] <= self._max_age:
                return
            self._forget(oldest)

    def clear(self) -> None:
        """Forget everything."""
        self._sent.clear()
        self._resent.clear()

    def _forget(self, sequence: int) -> None:
        self._sent.pop(sequence, None)
        self._resent.pop(sequence, None)

    def again(self, sequence: int, now: float, pause: float) -> bytes | None:
        """Return a packet to send again; None if it is gone, too old, was resent `pause` seconds ago, or often enough."""
        packet, at = self._sent.get(sequence, (None, 0.0))
        last, times = self._resent.get(sequence, (-pause, 0))
        if packet is None or now - at > self._max_age or now - last < pause or times == MAX_RESENDS:
            return None
        self._resent[sequence] = (now, times + 1)
        return packet
