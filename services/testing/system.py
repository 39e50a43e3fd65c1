"""The whole system as real processes on a test session's services: gateways, kendras, media servers.

A test asks for the fixture `system` (one for the session; leave it as you found it) or makes its own with `make_system`,
to kill, to count or to set differently.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import asyncpg
import jwt
import redis.asyncio

from contracts.actor import Grant
from services.cli.demo import put_key
from services.cli.stack.ports import free_ports, free_run
from services.cli.stack.private import Addresses
from services.cli.stack.rundir import RunDirectory
from services.cli.stack.running import Running
from services.cli.stack.system import Frontend, MediaServer, Process, processes
from services.cli.stack.system import System as Plan
from services.testing.session import Broker, Cache, Database, Session

TENANT = "demo"
KEY = "demo-key"
SECRET = "a secret of the demo key, only for tests"
CLUSTER_SECRET = "a cluster secret that is long enough, only for tests"
ALL_GRANTS = tuple(grant.value for grant in Grant)
MOST_WORKERS = 2
"""Media servers have several workers where their plane and the machine allow it, as a deployment's do, but no more of them on a big machine."""
_numbers = count(1)


@dataclass
class System:
    """A running system, and every door to it that a test looks through."""

    plan: Plan
    running: Running
    database: Database
    broker: Broker
    cache: Cache
    postgres: asyncpg.Pool
    redis: redis.asyncio.Redis
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The first gateway."""
        return self.plan.url

    @property
    def urls(self) -> list[str]:
        """Every gateway."""
        return [f"http://{self.plan.host}:{gateway.http_port}" for gateway in self.plan.gateways]

    @property
    def amqp_url(self) -> str:
        """The broker as its administrator, who may do everything."""
        return self.broker.url

    @property
    def tool_amqp_url(self) -> str:
        """The broker as the user `tool`."""
        return self.broker.of["tool"]

    @property
    def redis_prefix(self) -> str:
        """What every key of this system begins with."""
        return self.cache.prefix

    @property
    def servers(self) -> list[str]:
        """The names of the media servers."""
        return [server.name for server in self.plan.media_servers]

    @property
    def kendras(self) -> list[str]:
        """The names of the kendras."""
        return [kendra.name for kendra in self.plan.kendras]

    def admin_url(self, name: str) -> str:
        """Return where a process serves /livez, /readyz and /metrics."""
        return self.running.processes[name].ready.removesuffix("/readyz")

    def pid(self, name: str) -> int:
        """Return the pid of a running process."""
        pid = self.running.children[name].pid
        assert pid is not None, f"{name} does not run"
        return pid

    def token(
        self,
        *,
        meeting: str = "*",
        grants: Iterable[str] = ALL_GRANTS,
        sub: str | None = None,
        seconds: int = 3600,
        key: str = KEY,
        secret: str = SECRET,
    ) -> str:
        """Return an access token, by default of the tenant `demo` with every grant."""
        claims = {"iss": key, "exp": int(time.time()) + seconds, "meeting": meeting, "grants": list(grants)}
        return jwt.encode(claims | ({"sub": sub} if sub is not None else {}), secret, "HS256")

    def make_tenant(self, tenant: str, key: str, grants: Iterable[Grant] = tuple(Grant)) -> Callable[..., str]:
        """Make a tenant with a key; return what makes its tokens (the arguments of `token`)."""
        secret = f"the secret of {key}, long enough for a signature"
        put_key(self.database.url, self.plan.cluster_secret, tenant, key, secret=secret, grants=tuple(grants))
        return lambda **claims: self.token(key=key, secret=secret, **claims)

    async def kill(self, name: str) -> None:
        """Kill a process with SIGKILL and wait until it is gone."""
        await self.running.kill(name)

    async def stop(self, name: str) -> None:
        """Stop a process in order (SIGTERM) and wait until it is gone."""
        await self.running.stop(name)

    async def start(self, name: str) -> None:
        """Start a process again and wait until it is ready."""
        await self.running.start(name)

    def log(self, name: str, lines: int = 60) -> str:
        """Return the end of a process' log."""
        path = self.running.children[name].log
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def logs(self) -> list[tuple[str, str]]:
        """Return the end of each process' log under a title, for the report of a test that failed."""
        return [(f"log of {name}", self.log(name)) for name in self.running.children]


def plan_of(
    gateways: int, kendras: int, media_servers: int, settings: Mapping[str, Mapping[str, str]], prefix: str
) -> Plan:
    """Lay out processes on free ports. `settings` are by kind (gateway, kendra, media-server) or by a process' name."""
    tcp = iter(free_ports(2 * gateways + kendras + media_servers))

    def of(kind: str, name: str) -> dict[str, str]:
        return {**settings.get(kind, {}), **settings.get(name, {})}

    def media_server(name: str) -> MediaServer:
        own = of("media-server", name)
        ports = int(own.get("DOORDARSHAN_WORKERS", MOST_WORKERS))
        return MediaServer(name, next(tcp), free_run(ports), own, media_ports=ports)

    def names(kind: str, number: int) -> list[str]:
        return [f"{kind}-{n}" for n in range(1, number + 1)]

    return Plan(
        gateways=[Frontend(n, next(tcp), next(tcp), of("gateway", n)) for n in names("gateway", gateways)],
        kendras=[Frontend(n, next(tcp), None, of("kendra", n)) for n in names("kendra", kendras)],
        media_servers=[media_server(name) for name in names("media-server", media_servers)],
        cluster_secret=CLUSTER_SECRET,
        redis_prefix=prefix,
    )


@asynccontextmanager
async def running_system(
    session: Session,
    *,
    gateways: int = 1,
    kendras: int = 1,
    media_servers: int = 2,
    settings: Mapping[str, Mapping[str, str]] | None = None,
    late: Sequence[str] = (),
    routed: Callable[[Process], Process] = lambda process: process,
    broker: Broker | None = None,
) -> AsyncIterator[System]:
    """Start a system with a database, a vhost (unless one is given) and a Redis prefix of its own; stop it on the way out.

    `late` names processes that the test starts itself; `routed` may send a process elsewhere than to the services themselves.
    """
    run = RunDirectory(session.run.path / f"system-{next(_numbers)}")
    run.hold()
    async with AsyncExitStack() as stack:
        stack.callback(run.release)
        database = await stack.enter_async_context(session.database())
        vhost = await stack.enter_async_context(session.broker()) if broker is None else broker
        cache = await session.cache()
        plan = plan_of(gateways, kendras, media_servers, settings or {}, cache.prefix)

        def addresses(user: str) -> Addresses:
            return session.addresses(user, database, vhost, cache)

        put_key(database.url, CLUSTER_SECRET, TENANT, KEY, secret=SECRET, grants=tuple(Grant))
        running = Running(run, map(routed, processes(plan, addresses)))
        for child in running.children.values():
            child.log.unlink(missing_ok=True)
        stack.push_async_callback(running.stop_all)
        await running.start_all(late=late)
        pool = await stack.enter_async_context(asyncpg.create_pool(database.url, min_size=1, max_size=5))
        client = redis.asyncio.from_url(cache.url, decode_responses=True)
        stack.push_async_callback(client.aclose)
        yield System(plan, running, database, vhost, cache, pool, client)
