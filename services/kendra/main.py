"""Builds a kendra and runs it until it is told to stop. Nothing else builds anything.

Postgres, Redis and the broker may be away when it starts: it says so in `/readyz`, waits, and takes up work when they are there.
"""

import asyncio
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable

import structlog

from services import log as logging
from services.admin import Admin, CannotListen
from services.bus import Bus, Serving, kendra_commands
from services.bus.connection import LOST
from services.bus.dead import DeadLetters
from services.environment import settings_of
from services.kendra import events, store
from services.kendra.draining import Drainer
from services.kendra.handlers import HANDLERS
from services.kendra.media import Media
from services.kendra.moving import Mover
from services.kendra.policy import DEFAULT, BadPolicy, load
from services.kendra.servers import SETTLED, Servers
from services.kendra.settings import Settings
from services.kendra.store import database
from services.kendra.sweep import Sweep
from services.kendra.world import World
from services.stopping import cancelled, run_to_the_end, within

log = structlog.stdlib.get_logger("kendra")

_RETRY = 1.0
_RECENT = 3.5
_FINISHES = 4.0
"""No command takes longer, seconds."""


class Kendra:
    """One process's worth, started and stopped."""

    def __init__(self, settings: Settings, process: str, rows: database.Database) -> None:
        self._rows = rows
        stored = store.build(rows, settings.lease, load(settings.policy) if settings.policy else DEFAULT)
        self._bus = Bus(settings.amqp_url, "kendra", process, replies_kept=settings.replies_kept)
        settled = min(SETTLED, settings.server_silent)
        self._servers = Servers(stored.servers, settings.lease, settled=settled, hears=self._hears)
        streams = events.Streams(settings.redis_prefix, settings.stream_length, settings.stream_kept)
        self._events = events.Events(events.connect(settings.redis_url), streams, stored.log)
        self.world = World(stored, Media(self._bus, self._servers), self._events, self._servers)
        self._mover = Mover(self.world, settings.lease)
        self._drainer = Drainer(self.world, settings.keep_router)
        self._serving = Serving(
            settings.amqp_url, kendra_commands(settings.command_queue), HANDLERS, self.world, "kendra", process
        )
        self._sweep = Sweep(self.world, rows, settings, hears=self._hears)
        self._dead = DeadLetters(settings.amqp_url, "kendra", process, kept=settings.dead_kept)
        self._admin = Admin(
            settings.admin_port,
            {"postgres": self._postgres, "redis": self._redis, "broker": self._broker},
            settings.admin_host,
        )
        self._rounds: list[asyncio.Task[None]] = []

    @classmethod
    async def build(cls, settings: Settings, process: str) -> "Kendra":
        """Return a kendra; nothing is connected yet. `process` is unique among those that run."""
        return cls(settings, process, await database.connect(settings.postgres_url, settings.postgres_connections))

    async def start(self) -> None:
        """Begin to serve as soon as the broker is there."""
        await self._admin.start()
        rounds = (
            self._servers.watch(),
            self._sweep.forever(),
            self._mover.forever(),
            self._drainer.forever(),
        )
        self._rounds = [asyncio.create_task(one) for one in rounds]
        for start in (self._bus.start, self._serving.start, self._dead.start):
            await _until_there(start)
        log.info("serving", admin_port=self._admin.port)

    async def stop(self) -> None:
        """Take no more commands, finish what runs, disconnect; within 10 s whatever is away."""
        await within(6.0, self._serving.stop(within=_FINISHES), "finish what runs")
        await asyncio.gather(
            cancelled(self._rounds, each=0.3),
            within(1.5, self._events.close(), "leave Redis"),
            *(within(1.5, one.stop(), "leave the broker") for one in (self._dead, self._bus)),
        )
        await asyncio.gather(self._rows.close(), self._admin.stop())

    @property
    def admin_port(self) -> int:
        """Where `/readyz` is."""
        return self._admin.port

    async def _postgres(self) -> bool:
        return _recent(self._servers.read_at)

    async def _redis(self) -> bool:
        return _recent(self._events.reached_at)

    async def _broker(self) -> bool:
        return self._bus.connected and self._hears()

    def _hears(self) -> bool:
        return self._serving.consuming


def _recent(at: float | None) -> bool:
    return at is not None and time.monotonic() - at < _RECENT


async def _until_there(start: Callable[[], Awaitable[None]]) -> None:
    """Try again each second while the broker cannot be reached."""
    while True:
        try:
            await start()
            return
        except (*LOST, OSError) as error:
            log.warning("the broker cannot be reached", error=str(error) or type(error).__name__)
            await asyncio.sleep(_RETRY)


async def serve(settings: Settings, process: str) -> None:
    """Run until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    kendra = await Kendra.build(settings, process)
    starting = asyncio.create_task(kendra.start())
    await asyncio.wait({starting, asyncio.create_task(stopped.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()
        await stopped.wait()
    await cancelled({starting})
    await kendra.stop()


def run() -> None:
    """Run a kendra in the foreground, as its environment says."""
    settings, process = settings_of("kendra", Settings), secrets.token_hex(4)
    logging.configure("kendra", process, settings.log)
    try:
        run_to_the_end(serve(settings, process))
    except (CannotListen, BadPolicy) as error:
        sys.exit(f"kendra: {error}")
