"""The silent plane: it takes every order, opens no socket, hears nobody and forwards nothing.

It stands in the seat where control is tried without media, as when recorded commands are replayed. It keeps what it was ordered,
so that an order about an object that was never opened fails here as it does on any other plane.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from contracts.ids import ConsumerId, ProducerId, TransportId
from contracts.rtp import IceCandidate
from sfu.plane import seat

DISCARD = 9
"""The port that is announced when none was given (RFC 863): whoever sends there is not heard."""


class SilentPlane:
    """A packet plane without packets; nobody can reach it."""

    reachable: ClassVar[bool] = False

    def __init__(self, listen_ip: str, port: int, announced_address: str | None) -> None:
        self._address, self._port = announced_address or listen_ip, port or DISCARD
        self._transports: set[TransportId] = set()
        self._producers: dict[ProducerId, seat.AddProducer] = {}
        self._consumers: dict[ConsumerId, seat.AddConsumer] = {}

    @property
    def port(self) -> int:
        return self._port

    @property
    def transports(self) -> frozenset[TransportId]:
        """The transports that are open."""
        return frozenset(self._transports)

    @property
    def producers(self) -> Mapping[ProducerId, seat.AddProducer]:
        """The producers that were added and not removed."""
        return MappingProxyType(self._producers)

    @property
    def consumers(self) -> Mapping[ConsumerId, seat.AddConsumer]:
        """The consumers that were added and not removed."""
        return MappingProxyType(self._consumers)

    def candidates(self) -> list[IceCandidate]:
        address, port = self._address, self._port
        return [IceCandidate(foundation="udpcandidate", priority=1, ip=address, address=address, port=port)]

    def order(self, order: seat.Order) -> None:
        match order:
            case seat.OpenTransport(transport):
                self._transports.add(transport)
            case seat.CloseTransport(transport):
                self._transports.remove(transport)
            case seat.AddProducer():
                self._producers[order.producer] = order
            case seat.RemoveProducer(producer):
                del self._producers[producer]
            case seat.AddConsumer():
                self._consumers[order.consumer] = order
            case seat.RemoveConsumer(consumer):
                del self._consumers[consumer]
            case _:
                self._check(order)

    def _check(self, order: seat.Order) -> None:
        """Raise KeyError unless what an order without an effect here is about exists."""
        match order:
            case seat.PauseProducer(producer) | seat.ResumeProducer(producer) | seat.RequestKeyFrame(producer):
                self._producers[producer]
            case seat.PauseConsumer(consumer) | seat.ResumeConsumer(consumer):
                self._consumers[consumer]
            case (
                seat.RestartIce(transport)
                | seat.SecureTransport(transport)
                | seat.SendDatagram(transport)
                | seat.Probe(transport)
            ):
                if transport not in self._transports:
                    raise KeyError(transport)

    def transport_stats(self, transport: TransportId) -> seat.TransportStats:
        if transport not in self._transports:
            raise KeyError(transport)
        return seat.TransportStats()

    def producer_stats(self, producer: ProducerId) -> seat.StreamStats:
        order = self._producers[producer]
        return seat.StreamStats(ssrc=order.ssrc or 0, rtx_ssrc=order.rtx_ssrc, mime_type=order.codecs[0].mime_type)

    def consumer_stats(self, consumer: ConsumerId) -> seat.StreamStats:
        order = self._consumers[consumer]
        source = self._producers[order.producer]
        return seat.StreamStats(ssrc=order.ssrc, rtx_ssrc=order.rtx_ssrc, mime_type=source.codecs[0].mime_type)

    def stats(self) -> seat.PlaneStats:
        return seat.PlaneStats()

    def turns(self) -> None:
        return None

    def close(self) -> None:
        return
