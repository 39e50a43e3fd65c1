"""A worker: one packet plane with its port and its certificate, and the routers on it. Runs on the event loop it was made on."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

from contracts.ids import ProducerId, RouterId, TransportId, WorkerId
from sfu.errors import InvalidState
from sfu.ortc import DEFAULT_CODECS
from sfu.ortc_shapes import RtpCodecCapabilityJson
from sfu.plane import native, seat
from sfu.plane.reference.core import CONSENT_TIMEOUT
from sfu.plane.reference.plane import ReferencePlane
from sfu.plane.silent import SilentPlane
from sfu.producer import Producer
from sfu.random_numbers import RandomBelow
from sfu.router import Router
from sfu.transport import WebRtcTransport
from sfu.webrtc import Certificate

logger = logging.getLogger(__name__)

PlaneName = Literal["native", "reference", "silent"]
PREFERRED: PlaneName = "native"
"""The plane of a worker that nobody chose one for; where there is no native one, the reference plane stands in for it."""

DEFAULT_ID = WorkerId("worker")


def default_plane() -> PlaneName:
    """Return the plane that a worker has when nobody chose one."""
    return "reference" if PREFERRED == "native" and native.missing() else PREFERRED


def _native(settings: WorkerSettings, emit: seat.Listener) -> seat.PacketPlane:
    return native.NativePlane(
        settings.addresses, settings.port, emit, settings.consent_timeout, name=settings.id, pin=settings.pin
    )


def _reference(settings: WorkerSettings, emit: seat.Listener) -> seat.PacketPlane:
    return ReferencePlane(settings.listen_ip, settings.port, settings.announced_address, emit, settings.consent_timeout)


def _silent(settings: WorkerSettings, _emit: seat.Listener) -> seat.PacketPlane:
    return SilentPlane(settings.listen_ip, settings.port, settings.announced_address)


PLANES: dict[PlaneName, Callable[[WorkerSettings, seat.Listener], seat.PacketPlane]] = {
    "native": _native,
    "reference": _reference,
    "silent": _silent,
}


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Where a worker listens and which plane it has.

    `listen_ip` may be several addresses with commas between (the native plane's only); they share the `port`, 0 takes any.
    `announced_address` is what clients are told instead, as many, and needed where one is every address (ValueError).
    `consent_timeout` is in seconds; `pin` is the core that a native plane's thread stays on.
    """

    id: WorkerId = DEFAULT_ID
    listen_ip: str = "127.0.0.1"
    port: int = 0
    announced_address: str | None = None
    plane: PlaneName = field(default_factory=default_plane)
    consent_timeout: float = CONSENT_TIMEOUT
    pin: int | None = None

    def __post_init__(self) -> None:
        listen, announced = _parts(self.listen_ip), _parts(self.announced_address or "")
        for each in listen:
            if ip_address(each).is_unspecified and not announced:
                raise ValueError(f"to listen on {each} needs an announced address: nobody can send there")
        if announced and len(announced) != len(listen):
            raise ValueError(f"{len(listen)} addresses are listened on and {len(announced)} announced")
        if len(listen) > 1 and self.plane != "native":
            raise ValueError(f"the {self.plane} plane listens on one address")
        if self.plane == "native" and native.missing():
            raise ValueError(f"there is no native plane here ({native.missing()})")

    @property
    def addresses(self) -> list[tuple[str, str]]:
        """Where to listen, each with what clients are told."""
        listen = _parts(self.listen_ip)
        return list(zip(listen, _parts(self.announced_address or "") or listen, strict=True))


def _parts(addresses: str) -> list[str]:
    return [each.strip() for each in addresses.split(",") if each.strip()]


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """How busy a worker is: streams are producers and consumers; totals since the start; rates over the last second.

    `cpu` is the processor time of the worker's own thread in seconds, None where it has none.
    """

    streams: int
    transports: int
    packets_received: int
    packets_sent: int
    bytes_received: int
    bytes_sent: int
    packets_per_second: int
    bytes_sent_per_second: int
    failures: int
    cpu: float | None


class Worker:
    """`on_died` is called once if the plane cannot go on; everything on the worker is lost then, and `close` cleans up."""

    def __init__(self, settings: WorkerSettings, random: RandomBelow) -> None:
        """Bind and listen; use `create`. Raises OSError if the port is taken."""
        self.id = settings.id
        self.routers: dict[RouterId, Router] = {}
        self.transports: dict[TransportId, WebRtcTransport] = {}
        self.producers: dict[ProducerId, Producer] = {}
        self.on_died: Callable[[BaseException], None] | None = None
        self.closed = False
        self._died = False
        self.random = random
        self.certificate = Certificate()
        self.plane = PLANES[settings.plane](settings, self._event)

    @classmethod
    async def create(cls, settings: WorkerSettings, random: RandomBelow = secrets.randbelow) -> Worker:
        """Return a worker that listens on the running loop. Raises OSError if the port is taken."""
        return cls(settings, random)

    @property
    def port(self) -> int:
        """The UDP port that media comes to."""
        return self.plane.port

    def create_router(
        self, router_id: RouterId, media_codecs: Sequence[RtpCodecCapabilityJson] = DEFAULT_CODECS
    ) -> Router:
        """Make a router. Raises InvalidState (the id is taken, the worker is closed), InvalidRtpParameters, UnsupportedCodec."""
        if self.closed or router_id in self.routers:
            raise InvalidState(f"router {router_id} exists already" if not self.closed else "the worker is closed")
        router = Router(self, router_id, media_codecs)
        self.routers[router_id] = router
        return router

    def load(self) -> WorkerLoad:
        """Return what the worker carries now."""
        stats = self.plane.stats()
        consumers = sum(len(producer.consumers) for producer in self.producers.values())
        return WorkerLoad(
            streams=len(self.producers) + consumers,
            transports=len(self.transports),
            packets_received=stats.packets_received,
            packets_sent=stats.packets_sent,
            bytes_received=stats.bytes_received,
            bytes_sent=stats.bytes_sent,
            packets_per_second=stats.packets_per_second,
            bytes_sent_per_second=stats.bytes_sent_per_second,
            failures=stats.failures,
            cpu=stats.cpu,
        )

    def die(self, reason: BaseException) -> None:
        """Be as if the plane could not go on: everything on the worker is lost, and `on_died` hears why."""
        self.plane.close()
        self._event(seat.PlaneDied(reason))

    async def close(self) -> None:
        """Close the routers, telling every peer, and the port."""
        if self.closed:
            return
        self.closed = True
        for router in list(self.routers.values()):
            router.close()
        self.plane.close()
        await asyncio.sleep(0)  # lets the handshakes that were cancelled end before the loop does

    def _event(self, event: seat.Event) -> None:
        """Hand an event to whom it is about; what closed meanwhile hears nothing."""
        match event:
            case seat.StreamStarted(producer) | seat.StreamSilent(producer):
                if producer in self.producers:
                    self.producers[producer].flowing = isinstance(event, seat.StreamStarted)
            case seat.PlaneDied(reason):
                if not self._died and not self.closed:
                    self._died = True
                    logger.error("the packet plane of worker %s died: %r", self.id, reason)
                    if self.on_died is not None:
                        self.on_died(reason)
            case _:
                if event.transport in self.transports:
                    self.transports[event.transport].plane_event(event)
