"""Both planes, given the same step by step."""

from collections.abc import Iterator
from typing import Any

from sfu.plane import native, seat
from sfu.plane.reference.core import Core
from tests.differential.peer import Address
from tests.differential.plane_scenarios import Scenario, Step

COUNTED = {
    "packet_count", "byte_count", "packets_discarded", "packets_retransmitted", "packets_repaired", "nack_count",
    "nack_packet_count", "bytes_received", "rtp_bytes_received", "rtp_bytes_sent", "rtx_bytes_received", "rtx_bytes_sent",
}  # fmt: skip
OF_PRODUCERS = {"packets_discarded", "packets_repaired"}
Sent = list[tuple[bytes, Address]]
"""Datagrams and where they go."""


class Planes:
    """The two planes, given the same step by step; `sent` and `told` are the reference's, then the native one's."""

    def __init__(self, scenario: Scenario, frame_wait: int = 0) -> None:
        import packet_plane

        self.scenario = scenario
        self.sent: tuple[Sent, Sent] = ([], [])
        """What each sent in the last step."""
        self.told: tuple[list[seat.Event], list[seat.Event]] = ([], [])
        """What each has told."""
        self._reference = Core(self._deliver, self.told[0].append)
        self._native = packet_plane.Core(30.0, frame_wait)

    def _deliver(self, datagram: bytes, address: Address) -> None:
        self.sent[0].append((datagram, address))
        self.scenario.sent(datagram, address)

    def steps(self) -> Iterator[Step]:
        for step in self.scenario.steps():
            self.sent[0].clear()
            if step.order is not None:
                self._reference.order(step.order, step.now)
                self._native.order(step.order, step.now)
            elif step.datagram:
                self._reference.datagram(step.datagram, step.address, step.now)
                self._native.datagram(step.datagram, step.address, step.now)
            else:
                for work in self._reference.due(step.now):
                    work()
                self._native.due(step.now)
            self.sent[1][:] = self._native.sent()
            self.told[1].extend(native.event_of(each) for each in self._native.drain())
            yield step

    def counted(self) -> Iterator[tuple[str, str, object, object]]:
        """Yield what both count: of which stream or transport, under which name, and the two counts."""
        reference, counters = self._reference, native.counters
        pairs: list[tuple[str, Any, Any]] = []
        for producer, stream in reference.producers.items():
            pairs.append(
                (producer, stream.snapshot(), counters(seat.StreamStats, self._native.producer_stats(producer)))
            )
        for consumer, sent in reference.consumers.items():
            pairs.append((consumer, sent.stats, counters(seat.StreamStats, self._native.consumer_stats(consumer))))
        for name, transport in reference.transports.items():
            pairs.append((name, transport.stats, counters(seat.TransportStats, self._native.transport_stats(name))))
        for whose, one, other in pairs:
            for each in COUNTED & set(one.__slots__):
                if "consumer" not in whose or each not in OF_PRODUCERS:
                    yield whose, each, getattr(one, each), getattr(other, each)
