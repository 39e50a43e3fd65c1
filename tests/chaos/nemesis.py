"""The faults: what each does to the cluster, and the order in which a seed has them come."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

import asyncpg
import redis.asyncio

from services.cli.participant.api import Api
from services.testing.system import System
from tests.chaos.cluster import LEASE, Cluster
from tests.outages.network import slowed as slowed_link
from tests.outages.network import swallowed

Inject = Callable[[Cluster, random.Random], Awaitable[str]]
"""Does it, ends it, and says in a few words what it was done to."""

SHORT_FREEZE = (1.0, 2.0)
LONG_FREEZE = (LEASE + 1.5, LEASE + 2.5)


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault. `within` is how long after its end everybody must be well again, seconds."""

    kind: str
    inject: Inject
    within: float = 10.0


def killed(kind: str) -> Inject:
    """SIGKILL one process of a kind."""

    async def inject(cluster: Cluster, chance: random.Random) -> str:
        name = _one(cluster, kind, chance)
        await cluster.kill(name)
        return name

    return inject


def ended(kind: str) -> Inject:
    """SIGTERM one process of a kind, as a new version is rolled out."""

    async def inject(cluster: Cluster, chance: random.Random) -> str:
        name = _one(cluster, kind, chance)
        await cluster.end(name)
        return name

    return inject


def frozen(kind: str, span: tuple[float, float]) -> Inject:
    """SIGSTOP one process of a kind for a while."""

    async def inject(cluster: Cluster, chance: random.Random) -> str:
        name, seconds = _one(cluster, kind, chance), chance.uniform(*span)
        await cluster.freeze(name, seconds)
        return f"{name} for {seconds:.1f} s"

    return inject


async def deposed(cluster: Cluster, chance: random.Random) -> str:
    """SIGSTOP a media server that has meetings, if one has, for longer than its lease."""
    rows = await cluster.system.postgres.fetch("select distinct server from meetings where server is not null")
    names, wanted = cluster.names("media-server"), {row["server"] for row in rows}
    name = chance.choice([one for one in names if one in wanted] or names)
    seconds = chance.uniform(*LONG_FREEZE)
    await cluster.freeze(name, seconds)
    return f"{name} for {seconds:.1f} s"


async def redis_wiped(cluster: Cluster, _: random.Random) -> str:
    """Lose everything that Redis has."""
    async with redis.asyncio.from_url(cluster.system.cache.url) as client:
        await client.flushall()
    return "FLUSHALL"


async def backends_terminated(cluster: Cluster, _: random.Random) -> str:
    """End every session of the database, in whatever statement or COMMIT it is."""
    postgres = cluster.session.services.postgres
    assert postgres is not None
    connection = await asyncpg.connect(postgres.url("postgres", cluster.system.database.name))
    try:
        number = await connection.fetchval(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where datname = current_database() and application_name like 'doordarshan%'"
        )
    finally:
        await connection.close()
    return f"{number} sessions"


async def connections_cut(cluster: Cluster, _: random.Random) -> str:
    """Have the broker close every connection."""
    rabbitmq = cluster.session.services.rabbitmq
    assert rabbitmq is not None
    await rabbitmq.control("close_all_connections", "--vhost", cluster.system.broker.vhost, "chaos")
    return cluster.system.broker.vhost


def partitioned(*, broker: bool, postgres: bool, span: tuple[float, float]) -> Inject:
    """Have the network between a media server and its services swallow everything for a while."""

    async def inject(cluster: Cluster, chance: random.Random) -> str:
        name, seconds = _one(cluster, "media-server", chance), chance.uniform(*span)
        links = [cluster.network.broker[name]] * broker + [cluster.network.postgres[name]] * postgres
        async with swallowed(*links):
            await asyncio.sleep(seconds)
        return f"{name} for {seconds:.1f} s"

    return inject


async def slowed(cluster: Cluster, chance: random.Random) -> str:
    """Have Postgres answer a media server 200 ms late for a while."""
    name = _one(cluster, "media-server", chance)
    with slowed_link(0.2, cluster.network.postgres[name]):
        await asyncio.sleep(chance.uniform(2.0, 3.0))
    return name


async def worker_killed(cluster: Cluster, chance: random.Random) -> str:
    """Have a packet plane die in a media server that lives on."""
    name = _one(cluster, "media-server", chance)
    cluster.kill_worker(name)
    return name


async def drained(cluster: Cluster, chance: random.Random) -> str:
    """Drain a media server that has meetings, then let it have some again."""
    name = _one(cluster, "media-server", chance)
    await emptied(cluster, name)
    return name


async def emptied(cluster: Cluster, name: str, within: float = 60.0) -> None:
    """Have a media server drained within so many seconds, wait until no meeting wants it, and let it have some again."""
    await _operate(cluster.system, f"/v1/servers/{name}/drain", drained=True, within=within)
    try:
        await _unwanted(cluster.system, name)
    finally:
        await _operate(cluster.system, f"/v1/servers/{name}/drain", drained=False)


FAULTS: dict[str, Fault] = {
    fault.kind: fault
    for fault in (
        Fault("gateway killed", killed("gateway")),
        Fault("gateway frozen", frozen("gateway", SHORT_FREEZE)),
        Fault("gateway replaced", ended("gateway")),
        Fault("kendra killed", killed("kendra")),
        Fault("kendra frozen", frozen("kendra", SHORT_FREEZE)),
        Fault("kendra replaced", ended("kendra")),
        Fault("media server killed", killed("media-server"), 15.0),
        Fault("media server frozen", deposed, 15.0),
        Fault("media server stutters", frozen("media-server", SHORT_FREEZE)),
        Fault("media server replaced", ended("media-server"), 15.0),
        Fault("server drained", drained),
        Fault("worker killed", worker_killed),
        Fault("cut off from both", partitioned(broker=True, postgres=True, span=LONG_FREEZE), 15.0),
        Fault("cut off from broker", partitioned(broker=True, postgres=False, span=SHORT_FREEZE)),
        Fault("cut off from postgres", partitioned(broker=False, postgres=True, span=LONG_FREEZE), 15.0),
        Fault("postgres slow", slowed),
        Fault("postgres killed", killed("postgres"), 15.0),
        Fault("postgres frozen", frozen("postgres", SHORT_FREEZE), 15.0),
        Fault("sessions terminated", backends_terminated),
        Fault("broker killed", killed("rabbitmq"), 20.0),
        Fault("broker frozen", frozen("rabbitmq", SHORT_FREEZE)),
        Fault("connections cut", connections_cut),
        Fault("redis killed", killed("redis")),
        Fault("redis frozen", frozen("redis", SHORT_FREEZE)),
        Fault("redis wiped", redis_wiped),
    )
}


def order(chance: random.Random, kinds: Sequence[str]) -> Iterator[Fault]:
    """Yield faults without end: each kind once in random order, then all again in another."""
    while True:
        for kind in chance.sample(list(kinds), len(kinds)):
            yield FAULTS[kind]


async def _operate(system: System, path: str, *, drained: bool, within: float = 0.0) -> None:
    api = Api(system.url, system.token(grants=["operator"]), budget=20)
    try:
        await (api.post(path, {"deadlineSeconds": within}) if drained else api.delete(path))
    finally:
        await api.close()


async def _unwanted(system: System, server: str) -> None:
    """Wait until no meeting wants the server any more."""
    async with asyncio.timeout(20.0):
        while await system.postgres.fetchval("select count(*) from meetings where server = $1", server):
            await asyncio.sleep(0.1)


def _one(cluster: Cluster, kind: str, chance: random.Random) -> str:
    return kind if kind in cluster.services else chance.choice(cluster.names(kind))
