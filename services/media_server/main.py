"""Builds a media server and runs it until it is told to stop. The only place that builds things.

Start: the workers listen, the queue is consumed, then the row is written, which begins the lease; earlier boots are buried.
A broker or a database that is away is waited for. Stop: no new command, what runs ends, then rows, lease and queue go: kendra moves the meetings.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Coroutine
from functools import partial

import structlog
from prometheus_client import REGISTRY

from services import log as logs
from services.admin import Admin
from services.bus import Bus, Serving, media_commands
from services.environment import settings_of
from services.media_server.burial import bury_earlier_boots
from services.media_server.debts import Debts, look_at
from services.media_server.fenced import until_left
from services.media_server.flows.end_meeting import close_allocation
from services.media_server.handlers import HANDLERS
from services.media_server.lease import Lease
from services.media_server.leaving import Leaving
from services.media_server.lines import Lines
from services.media_server.losses import Losses
from services.media_server.metrics import Live
from services.media_server.once import Once
from services.media_server.patience import started, written
from services.media_server.reconciling import Around, Reconciler
from services.media_server.registry import Registry
from services.media_server.repairing import Repairs
from services.media_server.reporting import Meter, Reporting
from services.media_server.settings import Settings, new_boot
from services.media_server.store import Allocated, Boots, Database, Looking, Store
from services.media_server.telling import Telling
from services.media_server.watching import Watching
from services.media_server.workers import Reviving, die_by_signal, open_workers
from services.media_server.world import World
from services.stopping import cancelled, run_to_the_end, within
from sfu.worker import Worker

SERVICE = "media"
PREFETCH = 2_000
FORGET_EACH = 600.0

log = structlog.stdlib.get_logger("media server")


class MediaServer:
    """One boot of a media server, on workers that listen already."""

    def __init__(self, settings: Settings, workers: list[Worker]) -> None:
        self.settings, self.boot = settings, new_boot()
        self.stopping, self.failed = asyncio.Event(), False
        self._registering = False
        self._process = f"{settings.name}.{self.boot}"
        self._bus: Bus | None = None
        self._serving: Serving[World] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._telling = Telling(lambda: self._bus)
        self._lines = Lines()
        self._database = Database.open(settings.postgres_url, settings.name, self.boot)
        self._lease_database = Database.open(settings.postgres_url, settings.name, self.boot, connections=1)
        self._boots = Boots(self._database)
        registry, store, holds = Registry(), Store(self._database), Lease(settings.lease, settings.unheard)
        self._leaving = Leaving(registry, self._close_allocation)
        self._debts = Debts(registry, store, self._lines, told=self._telling.relay)
        self.world = World(
            server=settings.name,
            boot=self.boot,
            workers=workers,
            ice_servers=settings.ice_servers,
            registry=registry,
            store=store,
            recorder=self._debts.recorder,
            closings=self._debts.closings,
            once=Once(
                store,
                self._lines,
                self._debts.pay,
                may_answer=lambda: holds.must_hold(time.monotonic()),
                stands=registry.room,
            ),
            lease=holds,
        )
        self._losses = Losses(registry, tell=self._telling.lost)
        self._watching = Watching(
            workers, each=settings.worker_watched, stuck=settings.worker_stuck, lost=settings.worker_lost
        )
        self._reviving = Reviving(settings, workers, lost=self._worker_lost, give_up=self.give_up)
        around = Around(
            registry=registry,
            workers=workers,
            lines=self._lines,
            looking=Looking(self._database),
            boots=self._boots,
            repairs=Repairs(registry, store, told=self._telling.relay, lost=self._losses.tell_soon),
            pay=self._debts.pay,
        )
        rhythm = {"each": settings.reconcile, "heartbeat": settings.heartbeat, "lease": settings.lease}
        self.reconciler = Reconciler(around, **rhythm)
        self._reporting = Reporting(
            Boots(self._lease_database),
            self.world.lease,
            Meter(workers, settings.usable_cores),
            each=settings.heartbeat,
            consuming=lambda: self._serving is not None and self._serving.consuming,
            heard_at=lambda: None if self._serving is None else self._serving.heard_at,
            unwanted=self._leaving.unwanted,
            buried=lambda: self._spawn(self._give_up_when_left()),
            back=self.reconciler.soon,
        )
        checks = {"broker": self._can_be_asked, "lease": self._lease_holds}
        self.admin = Admin(settings.admin_port, checks, settings.admin_host)

    async def start(self) -> None:
        """Begin to serve; returns when the earlier boots are buried. Waits for broker and database as long as it takes."""
        await self.admin.start()
        await self._database.start()
        await self._lease_database.start()
        self._bus = await started(self._new_bus)
        self._serving = await started(self._new_serving)
        address, capacity = self.settings.address, self.settings.streams
        self._registering = True
        await written(partial(self._boots.register, address, capacity, self.settings.egress_limit))
        self._spawn(self._reporting.keep())
        await written(partial(bury_earlier_boots, self._boots, self.settings.lease))
        self._spawn(self._debts.keep_paying())
        self._spawn(self._losses.keep_telling())
        self._spawn(self._watching.keep())
        self._spawn(self.reconciler.keep())
        self._spawn(self._keep_forgetting())
        what = {"server": self.settings.name, "plane": self.settings.plane, "workers": len(self.world.workers)}
        log.info("media server runs", boot=self.boot, address=self.settings.address, **what)

    async def stop(self) -> None:
        """Stop cleanly, within 10 s whatever is away. Rows that cannot be deleted are the next boot's to bury, or kendra's."""
        if self._serving is not None:
            await within(4.0, self._serving.stop(delete=True, within=2.0), "finish what runs")
        await within(0.8, self._lines.drained(), "finish what was begun")
        await self._reviving.stop()
        self._leaving.stop()
        for worker in tuple(self.world.workers):
            await worker.close()
        await cancelled(self._tasks)
        if self._registering:
            await within(1.2, Boots(self._lease_database).unregister(), "give the lease up")
        await self._telling.said()
        if self._bus is not None:
            await within(0.8, self._bus.stop(), "leave the broker")
        databases = (self._database, self._lease_database)
        await asyncio.gather(
            within(1.2, self.admin.stop(), "stop the admin port"),
            *(within(1.0, one.close(), "leave the database") for one in databases),
        )

    async def run(self) -> int:
        """Serve until told to stop; return the process's exit code."""
        starting = asyncio.create_task(self.start())
        starting.add_done_callback(self._began)
        await self.stopping.wait()
        await cancelled({starting})
        await self.stop()
        return 1 if self.failed else 0

    async def _give_up_when_left(self) -> None:
        """End, and forward nothing any more before anything else: what ends in order may take a while."""
        await until_left(self.world.registry)
        for worker in tuple(self.world.workers):
            await worker.close()
        self.give_up()

    def give_up(self) -> None:
        """End the process as failed: whoever supervises it starts a new boot."""
        self.failed = True
        self.stopping.set()

    def _began(self, starting: asyncio.Task[None]) -> None:
        if not starting.cancelled() and (error := starting.exception()) is not None:
            log.error("cannot start", error=str(error), exc_info=None if isinstance(error, OSError) else error)
            self.give_up()

    def _worker_lost(self, worker: Worker) -> None:
        self.world.registry.lose_all(worker)
        self._losses.tell_soon()

    def _new_bus(self) -> Bus:
        return Bus(self.settings.amqp_url, SERVICE, self._process, replies_kept=self.settings.replies_kept)

    def _new_serving(self) -> Serving[World]:
        queue = media_commands(self.settings.name, self.boot, self.settings.commands_kept)
        return Serving(self.settings.amqp_url, queue, HANDLERS, self.world, SERVICE, self._process, prefetch=PREFETCH)

    async def _can_be_asked(self) -> bool:
        return self._serving is not None and self._serving.consuming

    async def _lease_holds(self) -> bool:
        return self.world.lease.holds(time.monotonic())

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _close_allocation(self, of: Allocated) -> None:
        log.info("closing an allocation that is not wanted any more", meeting=of.meeting, epoch=of.epoch)
        self._lines.put((of.tenant, of.meeting), partial(self._closed, of), always=True).add_done_callback(look_at)

    async def _closed(self, of: Allocated) -> None:
        """Close an allocation: at once in memory, whatever the database says; then what its rows are needed to settle comes first."""
        self.world.registry.close((of.tenant, of.meeting), below=of.epoch + 1)
        await self._debts.pay((of.tenant, of.meeting))
        await close_allocation(of, self.world)

    async def _keep_forgetting(self) -> None:
        kept = self.settings.steps_kept
        while True:
            try:
                await self.world.store.forget_handled(kept)
            except Exception as error:
                log.warning("old commands were not forgotten", error=str(error))
            await asyncio.sleep(min(FORGET_EACH, kept))


async def serve(settings: Settings) -> int | str:
    """Run a media server until SIGTERM or SIGINT; return the exit code, or the line that says why it cannot run."""
    try:
        workers = await open_workers(settings)
    except OSError as error:
        return f"media server: cannot listen on {settings.listen_ip} {settings.ports}: {error.strerror}"
    except ValueError as error:
        return f"media server: DOORDARSHAN_LISTEN_IP: {error}"
    server = MediaServer(settings, workers)
    logs.configure(SERVICE, f"{settings.name}.{server.boot}", settings.log)
    REGISTRY.register(Live(server.world.registry, server.world.workers))
    die_by_signal(server.world.workers)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stopping.set)
    return await server.run()


def run() -> None:
    """Run the service in the foreground."""
    sys.exit(run_to_the_end(serve(settings_of("media server", Settings))))
