"""The cluster that chaos torments: durable services and every process twice, each started again when it dies."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from services.cli.stack.private import Service
from services.cli.stack.process import Child
from services.cli.stack.rundir import PROJECT
from services.cli.stack.supervisor import Kept, Supervisor
from services.cli.stack.system import Process
from services.testing.session import first_free_directory
from services.testing.system import System, running_system
from tests.outages.network import Network
from tests.outages.private import OwnServices, frozen

MEDIA_SERVERS = ("media-server-1", "media-server-2")
LEASE = 3.0
SETTINGS = {
    "gateway": {"DOORDARSHAN_RATE_LIMIT_KEY": "100000/second", "DOORDARSHAN_RATE_LIMIT_PARTICIPANT": "100000/second"},
    "kendra": {
        "DOORDARSHAN_LEASE": str(LEASE),
        "DOORDARSHAN_SEAT_UNUSED": "15",
        "DOORDARSHAN_SEAT_LOST": "8",
        "DOORDARSHAN_KEEP_ROUTER": "5",
    },
    "media-server": {
        "DOORDARSHAN_LEASE": str(LEASE),
        "DOORDARSHAN_HEARTBEAT": "0.5",
        "DOORDARSHAN_UNHEARD": "4",
        "DOORDARSHAN_RECONCILE": "10",
        "DOORDARSHAN_WORKER_DIES_ON": "SIGUSR1",
    },
}
_GRACE = 2.0
"""How long after a gateway came back a connection may still fail that was made before."""


@dataclass
class Cluster:
    """A running system, and the hands that break it. Names are those of its processes, and postgres, rabbitmq, redis."""

    system: System
    session: OwnServices
    network: Network
    gateway_away: list[tuple[float, float]] = field(default_factory=list)
    """Spans (monotonic) in which some gateway could not answer."""
    back: set[str] = field(default_factory=set)
    """Who was started again and is ready."""

    @property
    def services(self) -> dict[str, Service]:
        """Postgres, RabbitMQ and Redis by name."""
        return {service.name: service for service in self.session.services.all}

    def child(self, name: str) -> Child:
        """Return what runs under a name."""
        services = self.services
        return services[name].child if name in services else self.system.running.children[name]

    def names(self, kind: str) -> list[str]:
        """Return the processes of a kind: gateway, kendra or media-server."""
        return sorted(name for name in self.system.running.children if name.rpartition("-")[0] == kind)

    async def kill(self, name: str) -> None:
        """Kill with SIGKILL, and return when it was started again and is ready."""
        child = self.child(name)
        with self._noted(name):
            self.back.discard(name)
            await child.kill()
            await self._again(name)

    async def end(self, name: str) -> None:
        """Ask a process to end (SIGTERM), and return when it was started again and is ready."""
        child = self.child(name)
        with self._noted(name):
            self.back.discard(name)
            await child.stop(grace=15.0)
            await self._again(name)

    async def freeze(self, name: str, seconds: float) -> None:
        """Stop everything of a process for so long, as a machine that swaps does, then let it go on."""
        pid = self.child(name).pid
        assert pid is not None, f"{name} does not run"
        with self._noted(name), frozen(pid):
            await asyncio.sleep(seconds)

    def changed(self, name: str, what: str) -> None:
        """Hear from the supervisor what became of a process."""
        if what.startswith("is ready again"):
            self.back.add(name)

    def kill_worker(self, server: str) -> None:
        """Kill the fullest worker of a media server."""
        os.kill(self.system.pid(server), signal.SIGUSR1)

    async def _again(self, name: str) -> None:
        async with asyncio.timeout(60.0):
            while name not in self.back:
                await asyncio.sleep(0.02)

    def _noted(self, name: str) -> "_Away":
        return _Away(self.gateway_away if name.startswith("gateway") else [])


class _Away:
    """Notes the span from entry to a little after the exit."""

    def __init__(self, spans: list[tuple[float, float]]) -> None:
        self._spans = spans

    def __enter__(self) -> None:
        self._spans.append((time.monotonic(), float("inf")))

    def __exit__(self, *_: object) -> None:
        since, _until = self._spans.pop()
        self._spans.append((since, time.monotonic() + _GRACE))


@asynccontextmanager
async def running_cluster(routed: Callable[[Process], Process] = lambda process: process) -> AsyncIterator[Cluster]:
    """Start it; stop it on the way out. `routed` may change how a process is started."""
    run = first_free_directory(PROJECT / ".run" / "chaos")
    session = OwnServices(run, durable=True, given={})
    network = Network(*MEDIA_SERVERS)

    def behind_links(process: Process) -> Process:
        return network.routed(routed(process))

    try:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(session.stop)
            size = {"gateways": 2, "kendras": 2, "media_servers": len(MEDIA_SERVERS)}
            system = await stack.enter_async_context(
                running_system(session, **size, settings=SETTINGS, late=MEDIA_SERVERS, routed=behind_links)
            )
            await network.open()
            stack.push_async_callback(network.close)
            await asyncio.gather(*(system.start(name) for name in MEDIA_SERVERS))
            cluster = Cluster(system, session, network)
            keeping = asyncio.create_task(_supervisor(cluster).run())
            stack.push_async_callback(_cancelled, keeping)
            yield cluster
    finally:
        run.release()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _supervisor(cluster: Cluster) -> Supervisor:
    running = cluster.system.running
    kept = [Kept(child, partial(running.start, name)) for name, child in running.children.items()]
    kept += [Kept(service.child, service.start) for service in cluster.services.values()]
    return Supervisor(kept, cluster.changed)
