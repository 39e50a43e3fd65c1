"""What the processes hold (I9), weighed twice with nobody in: when everything was used once, and when everything is over.

* Between both nothing may have grown by more than a twentieth: memory, threads, files, UDP ports. Of a few, one more file is allowed.
* Connections to Postgres, the broker and Redis are no files here. Their pools open them when they are needed and keep them,
  so they are held to what the pools may hold, whenever they were opened.
* A process that was started again is held to its predecessor's weight: it may be lighter.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from services.cli.stack.private import AMQP_URL, POSTGRES_URL, REDIS_URL
from services.gateway.events import CONNECTIONS
from services.kendra.settings import Settings as KendraSettings
from tests.chaos.cluster import Cluster

MORE = 1.05
_SERVICES = {POSTGRES_URL: "Postgres", AMQP_URL: "the broker", REDIS_URL: "Redis"}

POOLS: Mapping[str, Mapping[str, int]] = {
    # Keys; orders and replies; short questions, the streams, the live channels.
    "gateway": {"Postgres": 4, "the broker": 2, "Redis": CONNECTIONS + 2},
    # The pool; orders, replies, commands, replies out, dead letters; sixteen relays, the round, what is told live.
    "kendra": {"Postgres": KendraSettings.model_fields["postgres_connections"].default, "the broker": 5, "Redis": 18},
    # The pool, the lease; orders, replies, commands, replies out.
    "media-server": {"Postgres": 11, "the broker": 4},
}
"""How many connections a process of a kind may have, by what to."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What a process holds. `files` are those that are no connection to a service."""

    files: int
    threads: int
    ports: int
    memory: int
    connections: Mapping[str, int]

    def outgrows(self, start: "Weight", pools: Mapping[str, int]) -> list[str]:
        """Return of what it holds too much, compared with the start and with what its pools may hold."""
        grown = {
            "files": self.files > start.files + max(1.0, start.files * (MORE - 1)),
            "threads": self.threads > start.threads * MORE,
            "UDP ports": self.ports > start.ports * MORE,
            "memory": self.memory > start.memory * MORE,
        }
        crowded = [f"connections to {to}" for to, number in self.connections.items() if number > pools.get(to, 0)]
        return [what for what, too_much in grown.items() if too_much] + crowded

    def __str__(self) -> str:
        connected = ", ".join(f"{number} to {to}" for to, number in sorted(self.connections.items()))
        held = f"{self.files} files, {self.threads} threads, {self.ports} UDP ports, {self.memory / (1 << 20):.1f} MiB"
        return f"{held}, connections: {connected or 'none'}"


def weights(cluster: Cluster) -> dict[str, Weight]:
    """Weigh each process of the system that runs."""
    running = cluster.system.running
    pids = {name: child.pid for name, child in running.children.items()}
    return {name: weighed(pid, running.processes[name].environment) for name, pid in pids.items() if pid is not None}


def weighed(pid: int, environment: Mapping[str, str]) -> Weight:
    """Weigh a process whose services the environment names."""
    process = psutil.Process(pid)
    services = {urlsplit(environment[url]).port: what for url, what in _SERVICES.items() if url in environment}
    with process.oneshot():
        sockets = process.net_connections("tcp")
        connections = Counter(services[one.raddr.port] for one in sockets if one.raddr and one.raddr.port in services)
        ports = sum(1 for one in process.net_connections("udp") if one.laddr)
        files = process.num_fds() - connections.total()
        return Weight(files, process.num_threads(), ports, process.memory_info().rss, connections)


def grown(before: Mapping[str, Weight], after: Mapping[str, Weight]) -> list[str]:
    """Return the processes that hold more than they may (I9)."""
    wrong = []
    for name, was in before.items():
        now = after.get(name)
        if now is None:
            wrong.append(f"I9: {name} does not run")
        elif what := now.outgrows(was, POOLS[name.rpartition("-")[0]]):
            wrong.append(f"I9: {name} has too much of {' and '.join(what)}: it held {was}, and holds {now}")
    return wrong
