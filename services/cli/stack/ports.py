"""Ports, all outside 32768–60999: there a client's own outgoing connection can sit on a listener's port.

`up` takes fixed ports counted from a base, so that links stay valid. Tests take free ones, and keep them: who chooses at the same time,
or while a process of theirs is started again, chooses others (claims.py).
"""

import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from services.cli.stack.claims import Claims
from services.cli.stack.errors import CannotRun, PortTaken

BASE = 8480
_EPHEMERAL = range(32768, 61000)
_CHOICE = range(10240, 32768)
_BOTH = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
_claims = Claims()


@dataclass(frozen=True, slots=True)
class ServicePorts:
    """What the private services listen on. `distribution` and `epmd` are Erlang's, RabbitMQ needs them."""

    postgres: int
    redis: int
    amqp: int
    distribution: int
    epmd: int

    @classmethod
    def free(cls) -> "ServicePorts":
        """Choose ports that nobody uses now."""
        return cls(*free_ports(5))

    @classmethod
    def counted_from(cls, base: int) -> "ServicePorts":
        """Return the five ports that `up` uses: base + 20 and the next ones."""
        return cls(*range(base + 20, base + 25))

    def check(self) -> None:
        """Raise PortTaken for the first port that somebody else uses."""
        for name in self.__slots__:
            check_free(getattr(self, name), name)


def check_base(base: int) -> None:
    """Refuse a base whose ports would be illegal or ephemeral."""
    if base < 1024 or base + 40 > 65535 or any(port in _EPHEMERAL for port in (base, base + 40)):
        raise CannotRun(f"ports from {base} on will not do: choose a base in 1024–32727 (above are ephemeral ports)")


def is_free(port: int, kind: socket.SocketKind = socket.SOCK_STREAM, host: str = "127.0.0.1") -> bool:
    """Say whether a listener could have this port on this address now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def check_free(port: int, purpose: str, kind: socket.SocketKind = socket.SOCK_STREAM, host: str = "127.0.0.1") -> None:
    """Raise PortTaken when somebody else uses the port."""
    if not is_free(port, kind, host):
        raise PortTaken(port, purpose)


def free_run(count: int) -> int:
    """Return the first of so many ports in a row that nobody uses or chose, neither UDP nor TCP."""
    while True:
        first = secrets.choice(_CHOICE[: len(_CHOICE) - count])
        if _chosen(range(first, first + count), *_BOTH):
            return first


def free_ports(count: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> list[int]:
    """Return distinct ports that nobody uses now, and that nobody else chooses while this process runs."""
    chosen: list[int] = []
    while len(chosen) < count:
        port = secrets.choice(_CHOICE)
        if _chosen((port,), kind):
            chosen.append(port)
    return chosen


def _chosen(ports: Iterable[int], *kinds: socket.SocketKind) -> bool:
    """Claim all of these and look whether they are free; else none."""
    claimed: list[int] = []
    for port in ports:
        if not _claims.take(port):
            break
        claimed.append(port)
        if not all(is_free(port, kind) for kind in kinds):
            break
    else:
        return True
    for port in claimed:
        _claims.give_back(port)
    return False
