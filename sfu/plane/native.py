"""The native plane's skin: the Rust plane (`packet_plane`) in the seat. It has a thread and sockets of its own and never takes the GIL.

Orders go down and events come up in batches; an eventfd says on the event loop that there are events. UDP and TCP (RFC 4571)
share one port number, on every address. Without the package (it is built where cargo is) there is no such plane: `missing`.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import ClassVar, Literal, TypeVar

from contracts.ids import ConsumerId, ProducerId, TransportId
from contracts.rtp import IceCandidate
from sfu.plane import seat

try:
    import packet_plane

    _broken = "" if hasattr(packet_plane, "Plane") else "the package packet_plane has no Plane"
except ImportError as error:
    _broken = str(error)

logger = logging.getLogger(__name__)

HOST_TYPE, FIRST_PREFERENCE, STEP = 64, 10_000, 100
"""RFC 8445 §5.1.2.1 with mediasoup's numbers: each further address is liked a little less, and TCP less than any UDP."""

Counters = TypeVar("Counters", seat.TransportStats, seat.StreamStats, seat.PlaneStats)


def missing() -> str:
    """Return why there is no native plane here; empty where there is."""
    return _broken


class NativePlane:
    """A packet plane on a thread of its own. `addresses` are pairs: where to listen, and what clients are told instead."""

    reachable: ClassVar[bool] = True

    def __init__(
        self,
        addresses: Sequence[tuple[str, str]],
        port: int,
        emit: seat.Listener,
        consent_timeout: float,
        *,
        name: str,
        pin: int | None = None,
    ) -> None:
        """Bind every address with one port number. Raises OSError if it is taken on one of them."""
        plane = packet_plane.Plane([(listen, port) for listen, _ in addresses], consent_timeout, pin, name)
        self._plane: packet_plane.Plane | None = plane
        self._port = plane.port
        self._announced = [announced for _, announced in addresses]
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._descriptor = plane.descriptor
        self._loop.add_reader(self._descriptor, self._readable)

    @property
    def port(self) -> int:
        return self._port

    def candidates(self) -> list[IceCandidate]:
        return candidates(self._announced, self._port)

    def order(self, order: seat.Order) -> None:
        if self._plane is not None:
            self._plane.order(order)

    def _readable(self) -> None:
        for told in self._plane.drain() if self._plane is not None else ():
            if self._plane is None:
                return
            event = event_of(told)
            if isinstance(event, seat.PlaneDied):
                self.close()
            try:
                self._emit(event)
            except Exception:
                logger.exception("who listens to the plane failed on %s", type(event).__name__)

    def transport_stats(self, transport: TransportId) -> seat.TransportStats:
        return counters(seat.TransportStats, self._plane.transport_stats(transport) if self._plane else {})

    def producer_stats(self, producer: ProducerId) -> seat.StreamStats:
        return counters(seat.StreamStats, self._plane.producer_stats(producer) if self._plane else {})

    def consumer_stats(self, consumer: ConsumerId) -> seat.StreamStats:
        return counters(seat.StreamStats, self._plane.consumer_stats(consumer) if self._plane else {})

    def stats(self) -> seat.PlaneStats:
        if self._plane is None:
            return seat.PlaneStats()
        return replace(counters(seat.PlaneStats, self._plane.stats()), cpu=self._plane.cpu_seconds())

    def turns(self) -> int:
        if self._plane is None:
            return 0
        turned = self._plane.beat()
        self._plane.wake()
        return turned

    def panic(self) -> None:
        """Let the plane's thread panic; for tests of what comes after."""
        if self._plane is not None:
            self._plane.panic()

    def stall(self, seconds: float) -> None:
        """Let the plane's thread stand still; for tests of who notices."""
        if self._plane is not None:
            self._plane.stall(int(seconds * 1000))

    def close(self) -> None:
        if (plane := self._plane) is None:
            return  # the descriptor may be somebody else's by now
        self._plane = None  # its descriptors go with it, whoever still leads to this one
        self._loop.remove_reader(self._descriptor)
        if not plane.close():
            logger.warning("the thread of a plane stands still; it is left behind, its port is free")


def candidates(announced: Sequence[str], port: int) -> list[IceCandidate]:
    """Return a candidate for each address and protocol, those of UDP first."""
    kinds: list[tuple[str, Literal["udp", "tcp"]]] = [(address, "udp") for address in announced]
    kinds += [(address, "tcp") for address in announced]
    return [
        IceCandidate(
            foundation=f"{protocol}candidate",
            priority=(HOST_TYPE << 24) + (FIRST_PREFERENCE - STEP * index << 8) + 255,
            ip=address,
            address=address,
            port=port,
            protocol=protocol,
            tcp_type="passive" if protocol == "tcp" else None,
        )
        for index, (address, protocol) in enumerate(kinds)
    ]


def event_of(told: "packet_plane.Event") -> seat.Event:
    """Return an event as the seat names it."""
    match told:
        case ("ice_selected", transport, address, protocol, nominated):
            return seat.IceSelected(TransportId(transport), address, nominated, protocol)
        case ("ice_lost", transport):
            return seat.IceLost(TransportId(transport))
        case ("datagram", transport, data):
            return seat.DatagramReceived(TransportId(transport), data)
        case ("started", producer):
            return seat.StreamStarted(ProducerId(producer))
        case ("silent", producer, goodbye):
            return seat.StreamSilent(ProducerId(producer), goodbye)
        case ("died", reason):
            return seat.PlaneDied(RuntimeError(reason))


def counters(kind: type[Counters], told: Mapping[str, object]) -> Counters:
    """Return counters by the seat's names; what the seat has no name for is left out."""
    made = kind()
    for each in fields(kind):
        if each.name in told:
            setattr(made, each.name, told[each.name])
    return made
