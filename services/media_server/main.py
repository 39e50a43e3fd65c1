"""Builds a media server and runs it until it is told to stop. The only place that builds things.

Start: the workers listen, the queue is consumed, then the row is written, which begins the lease; earlier boots are buried.
A broker or a database that is away is waited for. Stop: no new command, what runs ends, the meetings are told, rows and queue go.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

import structlog
import uvloop
from prometheus_client import REGISTRY

from contracts.failure import KendraError
from contracts.ids import WorkerId
from contracts.live import RelayEvents
from services import log as logs
from services.admin import Admin
from services.bus import KENDRA_COMMANDS, Bus, Call, Serving, media_commands
from services.bus.connection import LOST
from services.media_server.burial import bury_earlier_boots, clear
from services.media_server.closing import Closings
from services.media_server.flows.end_meeting import close_allocation
from services.media_server.handlers import HANDLERS
from services.media_server.lease import Lease
from services.media_server.lines import Key, Lines
from services.media_server.metrics import Live
from services.media_server.once import Once
from services.media_server.recording import Recorder
from services.media_server.registry import Registry
from services.media_server.reporting import Meter, Reporting
from services.media_server.settings import Settings, new_boot
from services.media_server.store import Allocated, Store
from services.media_server.world import World
from sfu.worker import Worker, WorkerSettings

SERVICE = "media"
PREFETCH = 2_000
AGAIN = 0.5
DEBTS_EACH = 0.2
FORGET_EACH = 600.0
LAST_WORDS = 5.0
RELAY_WITHIN = 2.0

log = structlog.stdlib.get_logger("media server")


class Startable(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


StartableT = TypeVar("StartableT", bound=Startable)


class MediaServer:
    """One boot of a media server, on workers that listen already."""

    def __init__(self, settings: Settings, workers: list[Worker], lease: Lease | None = None) -> None:
        self.settings, self.boot = settings, new_boot()
        self.stopping, self.failed = asyncio.Event(), False
        self._process = f"{settings.name}.{self.boot}"
        self._bus: Bus | None = None
        self._serving: Serving[World] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines = Lines()
        self._store = Store.open(settings.postgres_url, settings.name, self.boot)
        self._reports = Store.open(settings.postgres_url, settings.name, self.boot, connections=1)
        registry = Registry()
        self.world = World(
            server=settings.name,
            boot=self.boot,
            workers=workers,
            ice_servers=settings.ice_servers,
            registry=registry,
            store=self._store,
            recorder=Recorder(self._store),
            closings=Closings(registry, self._store, write_soon=self._pay_soon, told=self._relay),
            once=Once(self._store, self._lines, self._pay),
            lease=lease or Lease(),
        )
        self._reporting = Reporting(
            self._reports,
            self.world.lease,
            Meter(workers),
            consuming=lambda: self._serving is not None and self._serving.consuming,
            unwanted=self._close_unwanted,
            buried=self.give_up,
        )
        checks = {"broker": self._can_be_asked, "lease": self._lease_holds}
        self.admin = Admin(settings.admin_port, checks, settings.admin_host)
        for worker in workers:
            worker.on_died = self._worker_died

    async def start(self) -> None:
        """Begin to serve; returns when the earlier boots are buried. Waits for broker and database as long as it takes."""
        await self.admin.start()
        await self._store.start()
        await self._reports.start()
        self._bus = await _up(lambda: Bus(self.settings.amqp_url, SERVICE, self._process))
        self._serving = await _up(self._new_serving)
        address, capacity = self.settings.address, self.settings.streams
        await _again(partial(self._reports.register, address, capacity, self.settings.egress_limit))
        self._spawn(self._reporting.keep())
        await _again(partial(bury_earlier_boots, self._store, self._relay))
        self._spawn(self._keep_paying())
        self._spawn(self._keep_forgetting())
        log.info("media server runs", server=self.settings.name, boot=self.boot, address=self.settings.address)

    async def stop(self) -> None:
        """Stop cleanly. What cannot be written in 5 s is left for the next boot to bury."""
        if self._serving is not None:
            await self._serving.stop(delete=True)
        with suppress(TimeoutError, KendraError):
            async with asyncio.timeout(LAST_WORDS):
                await self._lines.drained()
        for worker in self.world.workers:
            await worker.close()
        await self._cancel_tasks()
        with suppress(TimeoutError, KendraError):
            async with asyncio.timeout(LAST_WORDS):
                await clear(self._store, self.boot, self._relay)
                await self._store.unregister()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._bus is not None:
            await self._bus.stop()
        await self.admin.stop()
        await self._store.close()
        await self._reports.close()

    async def run(self) -> int:
        """Serve until told to stop; return the process's exit code."""
        starting = asyncio.create_task(self.start())
        starting.add_done_callback(self._began)
        await self.stopping.wait()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await self.stop()
        return 1 if self.failed else 0

    def give_up(self) -> None:
        """End the process as failed: whoever supervises it starts a new boot."""
        self.failed = True
        self.stopping.set()

    def _began(self, starting: asyncio.Task[None]) -> None:
        if not starting.cancelled() and (error := starting.exception()) is not None:
            log.error("cannot start", exc_info=error)
            self.give_up()

    def _worker_died(self, error: BaseException) -> None:
        log.error("a worker died, and this server with it", error=repr(error))
        self.give_up()

    def _new_serving(self) -> Serving[World]:
        queue = media_commands(self.settings.name, self.boot)
        return Serving(self.settings.amqp_url, queue, HANDLERS, self.world, SERVICE, self._process, prefetch=PREFETCH)

    async def _can_be_asked(self) -> bool:
        return self._serving is not None and self._serving.consuming

    async def _lease_holds(self) -> bool:
        return self.world.lease.holds(time.monotonic())

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _cancel_tasks(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _relay(self, of: Allocated) -> None:
        """Have kendra send a meeting's new events on; if the notice is lost, its sweep does."""
        if self._bus is not None:
            call = Call.begin(of.tenant, of.meeting, RELAY_WITHIN, epoch=of.epoch)
            self._spawn(self._bus.tell(KENDRA_COMMANDS, RelayEvents(), call, RELAY_WITHIN))

    def _close_unwanted(self, of: Allocated) -> None:
        log.info("closing an allocation that is not wanted any more", meeting=of.meeting, epoch=of.epoch)
        close = partial(close_allocation, of, self.world)
        self._lines.put((of.tenant, of.meeting), close, always=True).add_done_callback(_look_at)

    async def _pay(self, key: Key) -> None:
        """Bring memory and rows of one meeting together. Raises Unavailable."""
        await self.world.recorder.settle(key)
        await self.world.closings.write(key)

    def _pay_soon(self, key: Key) -> None:
        self._lines.put(key, partial(self._pay, key), always=True).add_done_callback(_look_at)

    async def _keep_paying(self) -> None:
        while True:
            await asyncio.sleep(DEBTS_EACH)
            for key in {*self.world.recorder.in_doubt, *self.world.closings.unwritten}:
                if self._lines.idle(key):
                    self._pay_soon(key)

    async def _keep_forgetting(self) -> None:
        while True:
            try:
                await self._store.forget_handled()
            except Exception as error:
                log.warning("old commands were not forgotten", error=str(error))
            await asyncio.sleep(FORGET_EACH)


async def _up(build: Callable[[], StartableT]) -> StartableT:
    """Return something started; build it anew until it does."""
    while True:
        thing = build()
        try:
            await thing.start()
            return thing
        except (*LOST, OSError, TimeoutError) as error:
            log.warning("the broker is away", error=str(error) or type(error).__name__)
            with suppress(*LOST, OSError, TimeoutError):
                await thing.stop()
        await asyncio.sleep(AGAIN)


async def _again(work: Callable[[], Awaitable[None]]) -> None:
    """Do it until the database lets us."""
    while True:
        try:
            return await work()
        except KendraError as error:
            log.warning("the database is away", reason=error.reason)
        await asyncio.sleep(AGAIN)


def _look_at(done: asyncio.Future[None]) -> None:
    """Log what no command's asker hears of. A database that is away is heard of elsewhere, and this is done again."""
    if not done.cancelled() and (error := done.exception()) is not None and not isinstance(error, KendraError):
        log.error("work of the server's own failed", exc_info=error)


async def open_workers(settings: Settings) -> list[Worker]:
    """Return the workers, listening. Raises OSError when a port is taken."""
    return [
        await Worker.create(
            WorkerSettings(
                id=WorkerId(f"worker-{number}"),
                listen_ip=settings.listen_ip,
                port=settings.port_of(number),
                announced_address=settings.announced_address or None,
            )
        )
        for number in range(settings.workers)
    ]


async def serve(settings: Settings) -> int | str:
    """Run a media server until SIGTERM or SIGINT; return the exit code, or the line that says why it cannot run."""
    try:
        workers = await open_workers(settings)
    except OSError as error:
        return f"media server: cannot listen on {settings.listen_ip} port {settings.media_port}: {error.strerror}"
    server = MediaServer(settings, workers)
    logs.configure(SERVICE, f"{settings.name}.{server.boot}", settings.log)
    REGISTRY.register(Live(server.world.registry, server.world.workers))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stopping.set)
    return await server.run()


def run() -> None:
    """Run the service in the foreground."""
    sys.exit(uvloop.run(serve(Settings())))
