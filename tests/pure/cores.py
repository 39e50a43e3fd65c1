"""Both planes' cores under the same calls: without sockets, without a clock."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sfu.plane import seat
from sfu.plane.native import counters, event_of
from sfu.plane.reference.core import Core

Address = tuple[str, int]


class ReferenceCore:
    """The reference plane's core; `core` is what its own tests look into."""

    def __init__(self, send: Callable[[bytes, Address], None], emit: seat.Listener, consent_timeout: float) -> None:
        self.core = Core(send, emit, consent_timeout)
        self.order, self.datagram = self.core.order, self.core.datagram

    def due(self, now: float) -> None:
        for work in self.core.due(now):
            work()

    def transport_stats(self, name: str) -> seat.TransportStats:
        return replace(self.core.transports[name].stats)

    def producer_stats(self, name: str) -> seat.StreamStats:
        return self.core.producers[name].snapshot()

    def consumer_stats(self, name: str) -> seat.StreamStats:
        consumer = self.core.consumers[name]
        return consumer.snapshot(self.core.producers[consumer.order.producer].stats.mime_type)

    def stats(self) -> seat.PlaneStats:
        return self.core.stats


class NativeCore:
    """The native plane's core: what it sends and tells is handed on after each call."""

    def __init__(self, send: Callable[[bytes, Address], None], emit: seat.Listener, consent_timeout: float) -> None:
        import packet_plane

        self.core = packet_plane.Core(consent_timeout)
        self._send, self._emit = send, emit

    def _then(self, _: None) -> None:
        for event in self.core.drain():
            self._emit(event_of(event))
        for data, address in self.core.sent():
            self._send(data, address)

    def order(self, order: seat.Order, now: float) -> None:
        self._then(self.core.order(order, now))

    def datagram(self, data: bytes, address: Address, now: float) -> None:
        self._then(self.core.datagram(data, address, now))

    def due(self, now: float) -> None:
        self._then(self.core.due(now))

    def transport_stats(self, name: str) -> seat.TransportStats:
        return counters(seat.TransportStats, self.core.transport_stats(name))

    def producer_stats(self, name: str) -> seat.StreamStats:
        return counters(seat.StreamStats, self.core.producer_stats(name))

    def consumer_stats(self, name: str) -> seat.StreamStats:
        return counters(seat.StreamStats, self.core.consumer_stats(name))

    def stats(self) -> seat.PlaneStats:
        return counters(seat.PlaneStats, self.core.stats())


CORES: dict[str, Callable[..., Any]] = {"reference": ReferenceCore, "native": NativeCore}
