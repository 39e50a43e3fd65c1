"""What the gateway tests share: a gateway on its own port, a kendra that is a table of answers, tokens, and a reader of event streams."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
import jwt
import redis.asyncio
from pydantic import SecretStr

from contracts.actor import Grant
from contracts.failure import KendraError
from contracts.ids import ApiKeyId, InstanceId, MeetingId, ParticipantId, Seat, TenantId
from contracts.message import Command, Reply
from services.bus import Call, Handlers, Serving, kendra_commands
from services.cli.demo import put_key
from services.cli.stack.ports import free_ports
from services.gateway.identity import Identity, Tokens
from services.gateway.main import Gateway
from services.gateway.settings import Settings
from services.testing.session import Broker, Cache, Database
from tests.eventually import eventually
from tests.services.gateway_answers import ANSWERS, MEETING, NOW, STREAM

CLUSTER_SECRET = "a cluster secret that is long enough, only for tests"
SECRET = "a secret of a key, long enough for HS256, only for tests"
TENANT, KEY = "acme", "acme-key"
LIVE = "live:{acme:standup}"

Answer = Reply | KendraError | Callable[[Any, Call], Reply]
Json = Any


@dataclass
class Kendra:
    """A kendra that answers from a table and remembers what it was asked."""

    answers: dict[type[Command[Any]], Answer] = field(default_factory=lambda: dict(ANSWERS))
    asked: list[tuple[Command[Any], Call]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    @property
    def last(self) -> tuple[Any, Call]:
        """The last command and its call."""
        return self.asked[-1]

    async def handle(self, order: Command[Any], call: Call, _: object) -> Reply:
        """Answer any command, while open."""
        self.asked.append((order, call))
        await self.open.wait()
        answer = self.answers[type(order)]
        if isinstance(answer, KendraError):
            raise answer
        return answer if isinstance(answer, Reply) else answer(order, call)

    def handlers(self) -> Handlers:
        """Return the table for the bus."""
        return dict.fromkeys(ANSWERS, self.handle)


@dataclass
class Edge:
    """A running gateway, what stands behind it, and a client in front."""

    gateway: Gateway
    kendra: Kendra
    http: httpx2.AsyncClient
    settings: Settings
    database: Database
    cache: Cache

    def access(self, **claims: Json) -> dict[str, str]:
        """Return the header with an access token of `acme`, by default for everything but operating."""
        return bearer(access_token(**claims))

    def seat(
        self,
        participant: str = "ann",
        *,
        meeting: str = MEETING,
        seat: int = 3,
        grants: Iterable[str] = ("produce", "consume"),
        seconds: float = 3600,
        tenant: str = TENANT,
        key: str = KEY,
    ) -> dict[str, str]:
        """Return the header with a participant token."""
        tokens = Tokens(CLUSTER_SECRET, self.gateway.edge.keys, lifetime=seconds)
        identity = Identity(TenantId(tenant), ApiKeyId(key), frozenset(map(Grant, grants)), 0.0)
        token = tokens.sign(identity, MeetingId(meeting), ParticipantId(participant), InstanceId("page-1"), Seat(seat))
        return bearer(token)

    def add_key(self, key: str, tenant: str, grants: Iterable[Grant] = tuple(Grant), secret: str = SECRET) -> None:
        """Make a tenant with a key."""
        put_key(self.database.url, CLUSTER_SECRET, tenant, key, secret=secret, grants=tuple(grants))

    @asynccontextmanager
    async def follow(
        self, headers: dict[str, str], seen: int | None = None, meeting: str = MEETING
    ) -> AsyncIterator["Events"]:
        """Open an event stream."""
        resumed = {} if seen is None else {"Last-Event-ID": str(seen)}
        async with self.http.stream("GET", f"/v1/meetings/{meeting}/events", headers=headers | resumed) as response:
            assert response.status_code == 200, await response.aread()
            yield Events(response)


@dataclass
class Events:
    """Reads a stream of server-sent events."""

    response: httpx2.Response

    def __post_init__(self) -> None:
        self._lines = self.response.aiter_lines()

    async def next(self, within: float = 5.0) -> tuple[str, int | None, Json]:
        """Return the next event: name, id, data. StopAsyncIteration at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(within):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name:
                    fields[name] = value
                elif "event" in fields:
                    return fields["event"], int(fields["id"]) if "id" in fields else None, json.loads(fields["data"])
        raise StopAsyncIteration

    async def take(self, number: int) -> list[tuple[str, int | None, Json]]:
        """Return the next events."""
        return [await self.next() for _ in range(number)]

    async def end(self, within: float = 5.0) -> None:
        """Wait for the end of the stream; no event may come before it."""
        try:
            event = await self.next(within)
        except StopAsyncIteration:
            return
        raise AssertionError(f"an event came before the end: {event}")


@dataclass
class Log:
    """The meeting's stream in Redis, written as kendra writes it."""

    redis: redis.asyncio.Redis
    prefix: str

    @property
    def key(self) -> str:
        """The stream's key."""
        return f"{self.prefix}{STREAM}"

    async def append(self, sequence: int, name: str = "ProducerPaused", to: str = "", **body: Json) -> None:
        """Add one event."""
        fields = {"type": name, "epoch": "1", "at": NOW.isoformat(), "to": to, "body": json.dumps(body)}
        await self.redis.xadd(self.key, fields, id=f"{sequence}-0")  # type: ignore[arg-type]

    async def live(self, name: str, to: str | None = None, **body: Json) -> int:
        """Publish a live event; return how many gateways heard it."""
        return int(await self.redis.publish(f"{self.prefix}{LIVE}", json.dumps({"type": name, "body": body, "to": to})))


@asynccontextmanager
async def log_of(edge: Edge) -> AsyncIterator[Log]:
    """Give the meeting's event stream in Redis, empty."""
    async with redis.asyncio.Redis.from_url(edge.cache.url, decode_responses=True) as client:
        log = Log(client, edge.cache.prefix)
        await client.delete(log.key)
        yield log


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def access_token(
    *,
    meeting: str | None = "*",
    grants: Iterable[str] = ("create", "join", "produce", "consume", "admin"),
    seconds: float = 600,
    key: str = KEY,
    secret: str = SECRET,
    algorithm: str = "HS256",
    **more: Json,
) -> str:
    """Return an access token; claims that are None are left out."""
    claims = {"iss": key, "exp": int(time.time() + seconds), "meeting": meeting, "grants": list(grants)} | more
    said = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(said, secret if algorithm != "none" else None, algorithm)  # type: ignore[arg-type]


@asynccontextmanager
async def serving_kendra(broker: Broker, kendra: Kendra) -> AsyncIterator[Serving[None]]:
    """Serve `kendra.commands`."""
    serving = Serving(
        broker.of["kendra"], kendra_commands(), kendra.handlers(), None, "kendra", f"fake-{uuid4().hex[:6]}"
    )
    await serving.start()
    try:
        yield serving
    finally:
        await serving.stop()


@asynccontextmanager
async def running(gateway: Gateway) -> AsyncIterator[None]:
    """Run a gateway until the end of the block."""
    task = asyncio.create_task(gateway.run())

    async def listens() -> bool:
        assert not task.done(), task.exception()
        return gateway.server.started

    await eventually(listens)
    try:
        yield
    finally:
        gateway.stop()
        async with asyncio.timeout(10):
            await task


def settings_for(database: Database, amqp_url: str, cache: Cache, **changed: Json) -> Settings:
    """Return the settings of a gateway on a free port."""
    given = {
        "postgres_url": database.of["gateway"],
        "amqp_url": amqp_url,
        "redis_url": cache.of["gateway"],
        "redis_prefix": cache.prefix,
        "cluster_secret": SecretStr(CLUSTER_SECRET),
        "http_port": free_ports(1)[0],
        "key_cache": 0.05,
        "leaving": 0,
    }
    return Settings(**(given | changed))


def gateway_url(gateway: Gateway) -> str:
    """Return where it listens."""
    return f"http://127.0.0.1:{gateway.settings.http_port}"


@asynccontextmanager
async def running_edge(database: Database, broker: Broker, cache: Cache, **changed: Json) -> AsyncIterator[Edge]:
    """Give a gateway in front of a kendra of answers, with the tenant `acme` and its key."""
    put_key(database.url, CLUSTER_SECRET, TENANT, KEY, secret=SECRET, grants=tuple(g for g in Grant if g != "operator"))
    settings, kendra = settings_for(database, broker.of["gateway"], cache, **changed), Kendra()
    gateway = Gateway(settings)
    client = httpx2.AsyncClient(base_url=gateway_url(gateway), timeout=10)
    async with serving_kendra(broker, kendra), running(gateway), client as http:

        async def connected() -> bool:
            return gateway.edge.bus.connected

        await eventually(connected)
        yield Edge(gateway, kendra, http, settings, database, cache)
