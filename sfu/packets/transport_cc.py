"""The body of transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1)."""

import struct

TICKS = 4000
"""Arrival times are counted in 250 µs, the unit of the deltas."""
MAX_DELTA = 0x7FFF
"""Ticks between two arrivals of one feedback: over eight seconds."""
NOT_RECEIVED, SMALL, LARGE = 0, 1, 2


def write_feedback(base: int, arrivals: list[int | None], count: int) -> bytes:
    """Write a feedback on the packets from `base` on: their arrivals in ticks, None for what did not come.

    No two neighbours among the arrivals may be further apart than `MAX_DELTA`.
    """
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
    head = struct.pack("!HHI", base & 0xFFFF, len(arrivals), (reference & 0xFFFFFF) << 8 | count & 0xFF)
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
