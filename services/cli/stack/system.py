"""Which processes the system consists of, and the environment each is started with. The same table for `up` and tests."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.cli.stack.ports import check_free
from services.cli.stack.private import Addresses
from services.cli.stack.process import Child

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "LD_PRELOAD", "FAKETIME")


@dataclass(frozen=True, slots=True)
class MediaServer:
    """One media server: its name and ports, of which `media_ports` from `media_port` on are its. `settings` are more DOORDARSHAN_* variables."""

    name: str
    admin_port: int
    media_port: int
    settings: Mapping[str, str] = field(default_factory=dict)
    media_ports: int = 1


@dataclass(frozen=True, slots=True)
class Frontend:
    """One gateway or kendra: its name and ports (`http_port` only for a gateway)."""

    name: str
    admin_port: int
    http_port: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class System:
    """Everything that decides what is started.

    `host` is the address that the gateway and the media servers bind and announce, `name` what clients call it (and the
    certificate names), by default the address.
    """

    gateways: Sequence[Frontend]
    kendras: Sequence[Frontend]
    media_servers: Sequence[MediaServer]
    cluster_secret: str
    host: str = "127.0.0.1"
    name: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    redis_prefix: str = ""
    log: str = "text"

    @property
    def url(self) -> str:
        """Where clients reach the first gateway."""
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://{self.name or self.host}:{self.gateways[0].http_port}"

    def check_ports(self) -> None:
        """Raise PortTaken for the first port that somebody else uses."""
        for front in (*self.gateways, *self.kendras):
            check_free(front.admin_port, f"{front.name}, metrics")
            if front.http_port is not None:
                check_free(front.http_port, f"{front.name}, HTTP", host=self.host)
        for server in self.media_servers:
            check_free(server.admin_port, f"{server.name}, metrics")
            for port in range(server.media_port, server.media_port + server.media_ports):
                check_free(port, f"{server.name}, media", socket.SOCK_DGRAM, self.host)
                check_free(port, f"{server.name}, media over TCP", host=self.host)


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the system: the command's name, its environment, and the URL that says when it is ready."""

    name: str
    command: str
    environment: Mapping[str, str]
    ready: str

    def child(self, logs: Path) -> Child:
        """Return it as a child that can be started."""
        command = [sys.executable, "-m", "services.cli.main", self.command]
        log = logs / f"{self.name}.log"
        # When `up` is killed everything loses its services at once, and nothing is left to stop in order for.
        return Child(self.name, command, self.environment, log, orphan_signal=signal.SIGKILL)


def processes(system: System, addresses: Callable[[str], Addresses]) -> list[Process]:
    """Return every process; `addresses` gives what a user (gateway, kendra, media) connects to."""
    return [
        *(_gateway(system, gateway, addresses("gateway")) for gateway in system.gateways),
        *(_kendra(system, kendra, addresses("kendra")) for kendra in system.kendras),
        *(_media_server(system, server, addresses("media")) for server in system.media_servers),
    ]


def _gateway(system: System, gateway: Frontend, addresses: Addresses) -> Process:
    tls = (
        {"DOORDARSHAN_TLS_CERTIFICATE": str(system.certificate), "DOORDARSHAN_TLS_KEY": str(system.key)}
        if system.certificate and system.key
        else {}
    )
    # Nobody stands before these gateways who would have to see first that one stops.
    at_once = {"DOORDARSHAN_LEAVING": "0"}
    own = {"DOORDARSHAN_HTTP_HOST": system.host, "DOORDARSHAN_HTTP_PORT": str(gateway.http_port), **tls, **at_once}
    return _process(system, gateway, "gateway", addresses, own)


def _kendra(system: System, kendra: Frontend, addresses: Addresses) -> Process:
    return _process(system, kendra, "kendra", addresses, {})


def _media_server(system: System, server: MediaServer, addresses: Addresses) -> Process:
    own = {
        "DOORDARSHAN_SERVER": server.name,
        "DOORDARSHAN_LISTEN_IP": system.host,
        "DOORDARSHAN_ANNOUNCED_ADDRESS": system.host,
        "DOORDARSHAN_MEDIA_PORT": str(server.media_port),
        "DOORDARSHAN_MEDIA_PORTS": str(server.media_ports),
    }
    return _process(system, server, "media-server", addresses, own)


def _process(
    system: System, laid_out: Frontend | MediaServer, command: str, addresses: Addresses, own: Mapping[str, str]
) -> Process:
    inherited = {k: v for k, v in os.environ.items() if k in _PASSED_ON or k.startswith("DOORDARSHAN_")}
    environment = {
        **inherited,
        "PYTHONUNBUFFERED": "1",
        **addresses.environment(),
        "DOORDARSHAN_CLUSTER_SECRET": system.cluster_secret,
        "DOORDARSHAN_REDIS_PREFIX": system.redis_prefix,
        "DOORDARSHAN_LOG": system.log,
        "DOORDARSHAN_ADMIN_PORT": str(laid_out.admin_port),
        **own,
        **laid_out.settings,
    }
    return Process(laid_out.name, command, environment, f"http://127.0.0.1:{laid_out.admin_port}/readyz")
