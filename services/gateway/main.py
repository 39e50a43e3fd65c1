"""Builds a gateway and runs it until it is told to stop. The only place that builds things.

It listens at once, whatever is away: requests are answered 503 until the broker is there. Stop: it says that it is not ready and
serves on for a while, then event streams end, what runs is answered, and the process ends.
"""

import asyncio
import os
import secrets
import signal
import socket
import sys
from contextlib import suppress

import structlog

from services import log as logs
from services.admin import Admin, CannotListen, listening
from services.bus import Bus
from services.bus.connection import LOST
from services.environment import settings_of
from services.gateway.app import create_app, surrounded
from services.gateway.edge import Edge
from services.gateway.events import Streams
from services.gateway.identity import Tokens
from services.gateway.keys import Keys
from services.gateway.leaving import Leaving
from services.gateway.limits import Limits
from services.gateway.presence import Presence
from services.gateway.server import create_server
from services.gateway.settings import Settings
from services.sealing import Sealing
from services.stopping import cancelled, run_to_the_end, within

SERVICE = "gateway"
AGAIN = 0.5
BACKLOG = 2048
GONE_AFTER = 30.0
"""A connection on which so long nothing that was sent is acknowledged is closed, seconds; its accepted ones inherit it."""

log = structlog.stdlib.get_logger(SERVICE)


class Gateway:
    """One gateway process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.process = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        secret = settings.cluster_secret.get_secret_value()
        keys = Keys(settings.postgres_url, Sealing(secret), fresh=settings.key_cache)
        tokens = Tokens(secret, keys, lifetime=settings.participant_token_lifetime)
        bus = Bus(settings.amqp_url, SERVICE, self.process, replies_kept=settings.replies_kept)
        self.edge = Edge(bus, tokens, keys, Limits(settings))
        self.streams = Streams(settings.redis_url, settings.redis_prefix, most=settings.most_streams)
        self.presence = Presence(bus, self.streams.seats.now, settings.seen_each)
        self._leaving = Leaving(settings.leaving, self._end)
        app = surrounded(
            create_app(settings, self.edge, self.streams, self._leaving), settings, self.edge, self._leaving
        )
        self.server = create_server(app, settings, self.streams.close_followers)
        checks = {
            "broker": self._connected,
            "redis": self.streams.reachable,
            "postgres": keys.usable,
            "staying": self._leaving.not_begun,
        }
        self.admin = Admin(settings.admin_port, checks, settings.admin_host)

    async def run(self) -> None:
        """Serve until `stop`."""
        await self.admin.start()
        await self.edge.keys.start()
        await self.streams.start()
        work = [asyncio.create_task(_connect(self.edge.bus)), asyncio.create_task(self.presence.keep_telling())]
        try:
            await self.server.serve([self._listening()])
        finally:
            await cancelled(work)
            await within(1.0, self.streams.stop(), "leave Redis")
            await within(1.0, self.edge.bus.stop(), "leave the broker")
            await self.edge.keys.stop()
            await self.admin.stop()

    def stop(self) -> None:
        """Have `run` end, once whoever sends clients here has had time to see it; told again, at once."""
        self._leaving.begin()

    def _end(self) -> None:
        self.server.should_exit = True

    def _listening(self) -> socket.socket:
        """Listen. A client that vanished from the network follows events no longer, though nobody closed its connection."""
        opened = listening(self.settings.http_host, self.settings.http_port, BACKLOG)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(GONE_AFTER * 1000))
        return opened

    async def _connected(self) -> bool:
        return self.edge.bus.connected


async def _connect(bus: Bus) -> None:
    """Connect to the broker, as long as that takes."""
    while True:
        try:
            await bus.start()
            return
        except (*LOST, OSError, TimeoutError) as error:
            log.warning("the broker is away", error=type(error).__name__)
            with suppress(*LOST, OSError, TimeoutError):
                await bus.stop()
        await asyncio.sleep(AGAIN)


async def serve(settings: Settings) -> None:
    """Run a gateway until SIGTERM or SIGINT."""
    gateway = Gateway(settings)
    logs.configure(SERVICE, gateway.process, settings.log)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, gateway.stop)
    await gateway.run()


def run() -> None:
    """Run the service in the foreground."""
    settings = settings_of(SERVICE, Settings)
    try:
        run_to_the_end(serve(settings))
    except CannotListen as error:
        sys.exit(f"{SERVICE}: {error}")


if __name__ == "__main__":
    run()
