"""The three private services together, and the addresses under which the system's processes reach whatever serves them.

Each service can be somebody else's instead: DOORDARSHAN_POSTGRES_URL, DOORDARSHAN_AMQP_URL, DOORDARSHAN_REDIS_URL.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from services.cli.stack.broker_users import VHOST
from services.cli.stack.ports import ServicePorts
from services.cli.stack.postgres import Postgres
from services.cli.stack.rabbitmq import RabbitMQ
from services.cli.stack.redis import Redis
from services.cli.stack.roles import DATABASE, OWNER
from services.cli.stack.rundir import RunDirectory

POSTGRES_URL = "DOORDARSHAN_POSTGRES_URL"
AMQP_URL = "DOORDARSHAN_AMQP_URL"
REDIS_URL = "DOORDARSHAN_REDIS_URL"

Service = Postgres | RabbitMQ | Redis
OnReady = Callable[[str, float], None]
"""Told (name, seconds) when a service is ready."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The URLs for one user."""

    postgres: str
    amqp: str
    redis: str

    def environment(self) -> dict[str, str]:
        """Return them as the services' settings."""
        return {POSTGRES_URL: self.postgres, AMQP_URL: self.amqp, REDIS_URL: self.redis}


class PrivateServices:
    """Whichever of Postgres, RabbitMQ and Redis is not named in the environment, in one run directory."""

    def __init__(
        self,
        run: RunDirectory,
        ports: ServicePorts,
        *,
        durable: bool,
        vhosts: Iterable[str] = (VHOST,),
        given: Mapping[str, str] = os.environ,
    ) -> None:
        self._run = run
        self._given = given
        self.postgres = None if given.get(POSTGRES_URL) else Postgres(run, ports.postgres, durable=durable)
        self.rabbitmq = None if given.get(AMQP_URL) else RabbitMQ(run, ports, durable=durable, vhosts=vhosts)
        self.redis = None if given.get(REDIS_URL) else Redis(run, ports.redis, durable=durable)

    @property
    def all(self) -> list[Service]:
        """Those that are private."""
        return [service for service in (self.postgres, self.rabbitmq, self.redis) if service is not None]

    async def start(self, on_ready: OnReady = lambda _name, _seconds: None) -> None:
        """Start them side by side and wait until all are ready. Raises NotReady; then some may run."""
        try:
            async with asyncio.TaskGroup() as group:
                for service in self.all:
                    group.create_task(self._start(service, on_ready))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _start(self, service: Service, on_ready: OnReady) -> None:
        begun = asyncio.get_running_loop().time()
        await service.start()
        self.record(service)
        on_ready(service.name, asyncio.get_running_loop().time() - begun)

    def record(self, service: Service) -> None:
        """Note in the run directory that this service runs."""
        for child in (service.child, service.epmd) if isinstance(service, RabbitMQ) else (service.child,):
            if child.pid is not None:
                self._run.record(child.name, child.pid)

    async def stop(self) -> None:
        """Stop them side by side."""
        await asyncio.gather(*(service.stop() for service in self.all))

    def addresses(self, user: str, *, vhost: str = VHOST, database: str = DATABASE) -> Addresses:
        """Return what `user` (gateway, kendra, media, tool) connects to. The owner of the tables is `doordarshan`."""
        role = OWNER if user == "tool" else user
        cache_user = user if user in ("gateway", "kendra") else "administrator"
        return Addresses(
            postgres=self.postgres.url(role, database) if self.postgres else self._given[POSTGRES_URL],
            amqp=self.rabbitmq.url(user, vhost) if self.rabbitmq else self._given[AMQP_URL],
            redis=self.redis.url(cache_user) if self.redis else self._given[REDIS_URL],
        )
