"""The Postgres, RabbitMQ and Redis of one test session, and what each test gets of its own in them.

Each session holds one run directory `.run/test/<n>` (the first one that is free, so that sessions run side by side and
beside `make up`) on ports that are free. Where DOORDARSHAN_POSTGRES_URL, _AMQP_URL or _REDIS_URL name a service, that one
is used: the session makes databases, vhosts and a key prefix of its own there and removes them.
Each service is started when the first test asks for it.
"""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from services.cli.schema import migrate_database
from services.cli.stack.errors import AlreadyRunning
from services.cli.stack.ports import ServicePorts
from services.cli.stack.private import AMQP_URL, POSTGRES_URL, REDIS_URL, Addresses, PrivateServices, Service
from services.cli.stack.roles import OWNER, ROLES, grant_rows
from services.cli.stack.rundir import PROJECT, RunDirectory
from services.testing.outside import make_vhost, remove_keys, remove_vhost

USERS = (*ROLES, "tool", "administrator")


@dataclass(frozen=True)
class Database:
    """A database with the newest schema and nothing in it. `url` is its owner's, `of` that of a service's role."""

    name: str
    url: str
    of: dict[str, str]


@dataclass(frozen=True)
class Broker:
    """A vhost. `url` is the administrator's, `of` that of gateway, kendra, media and tool."""

    vhost: str
    url: str
    of: dict[str, str]


@dataclass(frozen=True)
class Cache:
    """A Redis and the prefix of one's own keys in it."""

    url: str
    prefix: str
    of: dict[str, str]


TESTS = PROJECT / ".run" / "test"


def first_free_directory(base: Path = TESTS) -> RunDirectory:
    """Return the first run directory below `base` that no other session holds, held."""
    for number in count(1):
        run = RunDirectory(base / str(number))
        try:
            run.hold()
        except AlreadyRunning:
            continue
        return run
    raise AssertionError("unreachable")


class Session:
    """One test session's services."""

    def __init__(
        self, run: RunDirectory, *, durable: bool = False, given: Mapping[str, str | None] = os.environ
    ) -> None:
        """`durable`: the services keep their data over a crash. `given` names services that are used instead of private ones."""
        self.run = run
        self.name = f"test_{secrets.token_hex(4)}"
        self._given = {name: url for name in (POSTGRES_URL, AMQP_URL, REDIS_URL) if (url := given.get(name))}
        self._numbers: Iterator[int] = count(1)
        self._services = PrivateServices(run, ServicePorts.free(), durable=durable, given=self._given)
        self._started: set[str] = set()
        self._starting = asyncio.Lock()
        self._template: str | None = None

    @property
    def services(self) -> PrivateServices:
        """The private services, for a test that kills or freezes them; they belong to nobody else then."""
        return self._services

    async def stop(self) -> None:
        """Remove what was made in services that are not ours, stop those that are."""
        if self._template is not None:
            await asyncio.to_thread(self._drop_database, self._template)
        if REDIS_URL in self._given:
            await remove_keys(self._given[REDIS_URL], self.name)
        await self._services.stop()

    @contextmanager
    def place(self, name: str) -> Iterator[Path]:
        """Give an empty directory for a run of its own: pytest's are closed to the user whom Postgres runs as."""
        path = self.run.path / f"{name}-{next(self._numbers)}"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """Give a new database, a clone of one that was migrated once."""
        await self._need(self._services.postgres)
        async with self._starting:
            if self._template is None:
                self._template = f"{self.name}_template"
                await asyncio.to_thread(self._make_template, self._template)
        name = f"{self.name}_{next(self._numbers)}"
        await asyncio.to_thread(self._clone, name)
        try:
            yield Database(
                name, self._database_url(OWNER, name), {role: self._database_url(role, name) for role in ROLES}
            )
        finally:
            await asyncio.to_thread(self._drop_database, name)

    @asynccontextmanager
    async def empty_database(self) -> AsyncIterator[str]:
        """Give the URL of a new database without any schema."""
        await self._need(self._services.postgres)
        name = f"{self.name}_{next(self._numbers)}"
        await asyncio.to_thread(self._create, name)
        try:
            yield self._database_url(OWNER, name)
        finally:
            await asyncio.to_thread(self._drop_database, name)

    @asynccontextmanager
    async def broker(self) -> AsyncIterator[Broker]:
        """Give a new vhost with every service's permissions (in somebody else's broker: of the given user)."""
        await self._need(self._services.rabbitmq)
        rabbitmq, vhost = self._services.rabbitmq, f"{self.name}_{next(self._numbers)}"
        if rabbitmq is None:
            url = await make_vhost(self._given[AMQP_URL], vhost)
            yield Broker(vhost, url, dict.fromkeys(USERS, url))
            await remove_vhost(self._given[AMQP_URL], vhost)
            return
        await rabbitmq.add_vhost(vhost)
        urls = {user: rabbitmq.url(user, vhost) for user in USERS}
        yield Broker(vhost, urls["administrator"], urls)
        await rabbitmq.delete_vhost(vhost)

    async def cache(self) -> Cache:
        """Return a prefix of one's own."""
        await self._need(self._services.redis)
        redis = self._services.redis
        prefix = f"{self.name}:{next(self._numbers)}:"
        if redis is None:
            url = self._given[REDIS_URL]
            return Cache(url, prefix, dict.fromkeys(("gateway", "kendra"), url))
        return Cache(redis.url("administrator"), prefix, {user: redis.url(user) for user in ("gateway", "kendra")})

    def addresses(self, user: str, database: Database, broker: Broker, cache: Cache) -> Addresses:
        """Return what one service connects to."""
        return Addresses(database.of.get(user, database.url), broker.of[user], cache.of.get(user, cache.url))

    async def _need(self, service: Service | None) -> None:
        """Start a private service unless it runs."""
        async with self._starting:
            if service is not None and service.name not in self._started:
                await service.start()
                self._services.record(service)
                self._started.add(service.name)

    def _database_url(self, role: str, database: str) -> str:
        if self._services.postgres is not None:
            return self._services.postgres.url(role, database)
        return urlunsplit(urlsplit(self._given[POSTGRES_URL])._replace(path=f"/{database}"))

    def _admin_url(self) -> str:
        if self._services.postgres is not None:
            return self._services.postgres.url("postgres", "postgres")
        return self._given[POSTGRES_URL]

    def _run_sql(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._admin_url(), autocommit=True) as connection:
            connection.execute(statement)

    def _create(self, name: str) -> None:
        owner = sql.Identifier(OWNER) if self._services.postgres is not None else sql.SQL("default")
        self._run_sql(sql.SQL("create database {} owner {}").format(sql.Identifier(name), owner))

    def _make_template(self, name: str) -> None:
        self._create(name)
        if self._services.postgres is not None:
            grant_rows(self._services.postgres.url("postgres", name), OWNER, ROLES)
        migrate_database(self._database_url(OWNER, name))

    def _clone(self, name: str) -> None:
        owner = sql.Identifier(OWNER) if self._services.postgres is not None else sql.SQL("default")
        statement = sql.SQL("create database {} template {} owner {}")
        self._run_sql(statement.format(sql.Identifier(name), sql.Identifier(self._template or ""), owner))

    def _drop_database(self, name: str) -> None:
        self._run_sql(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@asynccontextmanager
async def opened(base: Path = TESTS) -> AsyncIterator[Session]:
    """Give a session that holds the first free run directory below `base`; what it started ends with it."""
    run = first_free_directory(base)
    try:
        session = Session(run)
        try:
            yield session
        finally:
            await session.stop()
    finally:
        run.release()
