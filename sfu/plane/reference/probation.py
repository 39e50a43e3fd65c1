"""Packets of nothing but padding, for a receiver to measure its path with: the stream that mediasoup-client expects besides video."""

from collections.abc import Iterator

from sfu.packets import rtp
from sfu.plane.seat import Probe
from sfu.supported import ABS_SEND_TIME, MID, TRANSPORT_WIDE_CC

SSRC, PAYLOAD_TYPE, PROBATOR = 1234, 127, b"probator"
MOST = 32 * 1024
"""Bytes that one order leads to at most."""
MAX_PADDING = 255
"""A packet's padding is counted in one byte (RFC 3550 §5.1)."""
STEP = 20


class Probation:
    """One transport's stream of padding. Its transport-wide numbers count these packets alone."""

    def __init__(self) -> None:
        self._sent = 0

    def packets(self, order: Probe, now: float) -> Iterator[bytes]:
        """Yield the packets that an order leads to, in plain."""
        left = min(order.size, MOST)
        while True:
            head = self._header(order, self._sent + 1, now)
            padding = min(left - len(head), MAX_PADDING)
            if padding <= 0:
                return
            self._sent += 1
            left -= len(head) + padding
            yield bytes((head[0] | 0x20,)) + head[1:] + bytes(padding - 1) + bytes((padding,))

    def _header(self, order: Probe, number: int, now: float) -> bytes:
        time = (round(now * 1e6) << 18) // 10**6 & 0xFFFFFF  # 6.18 bits of seconds
        values = {
            MID: PROBATOR,
            ABS_SEND_TIME: time.to_bytes(3, "big"),
            TRANSPORT_WIDE_CC: (number & 0xFFFF).to_bytes(2, "big"),
        }
        extensions = [(order.extensions[uri], value) for uri, value in values.items() if uri in order.extensions]
        head = rtp.RtpPacket(False, PAYLOAD_TYPE, 0, STEP * number & 0xFFFFFFFF, SSRC, b"", [], b"")
        return rtp.write(head, PAYLOAD_TYPE, number & 0xFFFF, SSRC, extensions)
