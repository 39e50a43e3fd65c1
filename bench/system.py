"""The system that is measured: durable private services and every process, in a run directory of its own beside whatever else runs."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from socket import SOCK_DGRAM
from types import MappingProxyType

from contracts.actor import Grant
from services.cli.demo import put_key
from services.cli.schema import migrate_database
from services.cli.stack.ports import ServicePorts, free_ports
from services.cli.stack.private import PrivateServices
from services.cli.stack.rabbitmq import RabbitMQ
from services.cli.stack.rundir import PROJECT, RunDirectory
from services.cli.stack.running import Running
from services.cli.stack.system import Frontend, MediaServer, System, processes

TENANT, KEY, SECRET = "bench", "bench-key", "a secret of the key that benchmarks use"
CLUSTER_SECRET = "a cluster secret that only benchmarks use"
ROOM = {"DOORDARSHAN_CAPACITY": "1000000"}
UNLIMITED = {"DOORDARSHAN_RATE_LIMIT_KEY": "1000000/second", "DOORDARSHAN_RATE_LIMIT_PARTICIPANT": "1000000/second"}


@dataclass(frozen=True)
class Measured:
    """What the benchmarks need of it."""

    url: str
    amqp: str
    postgres: str
    folder: Path
    _services: PrivateServices
    _running: Running

    def pids(self) -> dict[str, list[int]]:
        """Return every process of the system by what it is: broker, Postgres and Redis included."""
        found: dict[str, list[int]] = {}
        for service in self._services.all:
            children = (service.child, service.epmd) if isinstance(service, RabbitMQ) else (service.child,)
            found[service.name] = [child.pid for child in children if child.pid is not None]
        for name, child in self._running.children.items():
            kind = "media servers" if name.startswith("media-server") else name
            found.setdefault(kind, []).extend([child.pid] if child.pid is not None else [])
        return found


@asynccontextmanager
async def measured_system(media: Mapping[str, str] = MappingProxyType({})) -> AsyncIterator[Measured]:
    """Start it, fresh, its media servers with these settings too; stop it on the way out."""
    path = PROJECT / ".run" / "bench"
    run = RunDirectory(path)
    run.hold()
    for old in ("postgres", "rabbitmq", "redis", "log"):
        rmtree(path / old, ignore_errors=True)
    services = PrivateServices(run, ServicePorts.free(), durable=True, given={})
    ports, media_ports = free_ports(5), free_ports(2, SOCK_DGRAM)
    plan = System(
        gateways=[Frontend("gateway", ports[0], ports[1], UNLIMITED)],
        kendras=[Frontend("kendra", ports[2])],
        media_servers=[
            MediaServer(f"media-server-{n + 1}", ports[3 + n], media_ports[n], {**ROOM, **media}) for n in (0, 1)
        ],
        cluster_secret=CLUSTER_SECRET,
    )
    running = Running(run, processes(plan, services.addresses))
    async with AsyncExitStack() as stack:
        stack.callback(run.release)
        stack.push_async_callback(services.stop)
        await services.start()
        owner = services.addresses("tool").postgres
        migrate_database(owner)
        put_key(owner, CLUSTER_SECRET, TENANT, KEY, secret=SECRET, grants=tuple(Grant))
        stack.push_async_callback(running.stop_all)
        await running.start_all()
        assert services.rabbitmq is not None
        yield Measured(plan.url, services.rabbitmq.url("administrator"), owner, path, services, running)
