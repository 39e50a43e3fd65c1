"""The reference plane's skin: one UDP socket, one timer, counted failures. Everything else is in `core.py`.

A failure on a packet or on one timer is a bug: it is counted, logged once a second at most, and the loop goes on. When the
socket is gone, or the loop itself fails, the plane cannot go on and says so (`PlaneDied`). What the kernel does not take at
once is dropped, as a network would.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from contracts.ids import ConsumerId, ProducerId, TransportId
from contracts.rtp import IceCandidate
from sfu.plane import seat
from sfu.plane.reference.core import Core
from sfu.plane.reference.ice import Address

logger = logging.getLogger(__name__)

TICK = 0.020
MAX_DATAGRAM = 2048
DATAGRAMS_A_WAKE = 64
BUFFER = 4 * 1024 * 1024
HOST_PRIORITY = 1076302079
GONE = {errno.EBADF, errno.ENOTSOCK, errno.ENOTCONN, errno.EINVAL}


class ReferencePlane:
    """A packet plane on the running loop, asyncio's or uvloop's."""

    reachable: ClassVar[bool] = True

    def __init__(
        self, listen_ip: str, port: int, announced_address: str | None, emit: seat.Listener, consent_timeout: float
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_INET6 if ":" in listen_ip else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        try:
            self._socket.bind((listen_ip, port))
        except OSError:
            self._socket.close()
            raise
        self._address: Address = (announced_address or listen_ip, self._socket.getsockname()[1])
        self._emit, self._open, self._logged_at = emit, True, 0.0
        self._core = Core(self._send, emit, consent_timeout)
        self._descriptor = self._socket.fileno()
        self._loop.add_reader(self._descriptor, self._readable)
        self._timer = self._loop.call_later(TICK, self._tick)

    @property
    def port(self) -> int:
        return self._address[1]

    def candidates(self) -> list[IceCandidate]:
        ip, port = self._address
        return [IceCandidate(foundation="udpcandidate", priority=HOST_PRIORITY, ip=ip, address=ip, port=port)]

    def order(self, order: seat.Order) -> None:
        if self._open:
            self._core.order(order, self._loop.time())

    def _readable(self) -> None:
        try:
            self._receive()
        except Exception as error:
            self._die(error)

    def _receive(self) -> None:
        for _ in range(DATAGRAMS_A_WAKE):
            try:
                data, address = self._socket.recvfrom(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP error of an earlier packet, unless the socket itself is gone
                if error.errno in GONE:
                    self._die(error)
                    return
                continue
            try:
                self._core.datagram(data, (address[0], address[1]), self._loop.time())
            except Exception:
                self._failed()

    def _send(self, data: bytes, address: Address) -> None:
        try:
            self._socket.sendto(data, address)
        except OSError as error:
            self._core.stats.discarded += 1
            if error.errno in GONE - {errno.EINVAL}:
                self._die(error)

    def _tick(self) -> None:
        if not self._open:
            return
        self._timer = self._loop.call_later(TICK, self._tick)
        try:
            for work in self._core.due(self._loop.time()):
                self._do(work)
        except Exception as error:
            self._die(error)

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            self._failed()

    def _failed(self) -> None:
        self._core.stats.failures += 1
        now = self._loop.time()
        if now - self._logged_at >= 1.0:
            self._logged_at = now
            logger.exception("the plane failed on a packet or a timer", extra={"failures": self._core.stats.failures})

    def _die(self, reason: BaseException) -> None:
        if self._open:
            self.close()
            self._loop.call_soon(self._emit, seat.PlaneDied(reason))

    def transport_stats(self, transport: TransportId) -> seat.TransportStats:
        return replace(self._core.transports[transport].stats)

    def producer_stats(self, producer: ProducerId) -> seat.StreamStats:
        return self._core.producers[producer].snapshot()

    def consumer_stats(self, consumer: ConsumerId) -> seat.StreamStats:
        outbound = self._core.consumers[consumer]
        return outbound.snapshot(self._core.producers[outbound.order.producer].stats.mime_type)

    def stats(self) -> seat.PlaneStats:
        return replace(self._core.stats)

    def turns(self) -> None:
        return None

    def close(self) -> None:
        if not self._open:
            return  # the descriptor may be somebody else's by now
        self._open = False
        self._timer.cancel()
        self._loop.remove_reader(self._descriptor)
        self._socket.close()
