"""Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1), without which
Chromium falls to 30 kbit/s.

Each feedback goes on where the last one ended; a packet that comes late rewinds it, as long as its neighbours' arrivals are
remembered (500 ms). Times are counted in 250 µs, the unit of the deltas.
"""

import struct

INTERVAL = 0.100
REMEMBERED = 0.500
MAX_GAP = 1000
MAX_PACKETS = 400
"""Packets a feedback reports, so that it stays under 1,000 bytes."""
TICKS = 4000
NOT_RECEIVED, SMALL, LARGE = 0, 1, 2


class TransportCc:
    """Arrivals of one transport."""

    def __init__(self) -> None:
        self._arrivals: dict[int, int] = {}
        self._base: int | None = None
        self._last: int | None = None
        self._count = 0

    def received(self, sequence: int, now: float) -> None:
        """Take note of a transport-wide sequence number (16 bit)."""
        last = self._last
        extended = sequence if last is None else last + (sequence - last + 0x8000 & 0xFFFF) - 0x8000
        if last is None or self._base is None or abs(extended - last) > MAX_GAP:
            self._arrivals.clear()
            self._base = self._last = extended
        elif extended in self._arrivals:
            return
        self._arrivals[extended] = int(now * TICKS)
        self._base, self._last = min(self._base or extended, extended), max(self._last or extended, extended)

    def feedback(self, now: float) -> list[bytes]:
        """Return the bodies of the feedback over what came since the last call."""
        bodies: list[bytes] = []
        if self._base is None or self._last is None:
            return bodies
        while self._base <= self._last:
            end = min(self._last + 1, self._base + MAX_PACKETS)
            bodies.append(self._body(self._base, [self._arrivals.get(each) for each in range(self._base, end)]))
            self._base = end
        oldest = int((now - REMEMBERED) * TICKS)
        self._arrivals = {each: at for each, at in self._arrivals.items() if at >= oldest}
        return bodies

    def _body(self, base: int, arrivals: list[int | None]) -> bytes:
        reference = next((at for at in arrivals if at is not None), 0) // 256
        previous = reference * 256
        symbols: list[int] = []
        deltas = b""
        for at in arrivals:
            if at is None:
                symbols.append(NOT_RECEIVED)
                continue
            delta, previous = at - previous, at
            small = 0 <= delta <= 255
            symbols.append(SMALL if small else LARGE)
            deltas += struct.pack("!B" if small else "!h", delta)
        head = struct.pack("!HHI", base & 0xFFFF, len(arrivals), (reference & 0xFFFFFF) << 8 | self._count)
        self._count = self._count + 1 & 0xFF
        body = head + _chunks(symbols) + deltas
        return body + bytes(-len(body) % 4)


def _chunks(symbols: list[int]) -> bytes:
    """Write packet statuses: a run where at least seven are equal, else seven two-bit symbols a chunk."""
    chunks = b""
    at = 0
    while at < len(symbols):
        run = 1
        while at + run < len(symbols) and symbols[at + run] == symbols[at]:
            run += 1
        if run >= 7:
            chunks += struct.pack("!H", symbols[at] << 13 | run)
            at += run
            continue
        vector = 0b11
        for symbol in (symbols[at : at + 7] + [NOT_RECEIVED] * 7)[:7]:
            vector = vector << 2 | symbol
        chunks += struct.pack("!H", vector)
        at += 7
    return chunks
