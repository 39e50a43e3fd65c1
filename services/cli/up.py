"""`doordarshan up`: the whole system on this machine, in the foreground, until Ctrl-C.

Order: the run directory's lock, what is missing or taken (before anything is started), private services side by side,
the schema, the processes side by side, the demo link; then whatever dies is started again and the logs are followed.
"""

import asyncio
import contextlib
import os
import signal
import time
from functools import partial
from typing import Annotated

from cyclopts import Parameter

from services.cli.demo import cluster_secret, demo_link
from services.cli.schema import migrate_database
from services.cli.stack.certificate import CERTIFICATE, certificate_for
from services.cli.stack.follow import Follower
from services.cli.stack.host import LOOPBACK, address_of
from services.cli.stack.ports import BASE, ServicePorts, check_base
from services.cli.stack.private import PrivateServices, Service
from services.cli.stack.progress import Progress
from services.cli.stack.rundir import RunDirectory
from services.cli.stack.running import Running
from services.cli.stack.supervisor import Kept, Supervisor
from services.cli.stack.system import Frontend, MediaServer, System, processes

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(
    *,
    host: Annotated[str, Parameter(help="Bind and announce this address, and serve HTTPS.")] = LOOPBACK,
    port: Annotated[int, Parameter(help="The gateway's port; the others are counted from it.")] = BASE,
) -> None:
    """Run gateway, kendra, two media servers and what they need, until Ctrl-C."""
    asyncio.run(_until_signal(host, port))


async def _until_signal(host: str, port: int) -> None:
    """Run `_Up` as a task that the first signal cancels, so that it stops in order wherever it is; more are ignored."""
    check_base(port)
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(_Up(RunDirectory.of_up(), host, port).run())

    def stop() -> None:
        for number in _SIGNALS:
            loop.add_signal_handler(number, lambda: None)
        task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    with contextlib.suppress(asyncio.CancelledError):
        await task


class _Up:
    """One run."""

    def __init__(self, run: RunDirectory, host: str, port: int) -> None:
        self._run_directory = run
        self._address = address_of(host)
        self._host, self._port = host, port
        self._secure = host not in (LOOPBACK, "localhost")  # a browser trusts these two without a certificate
        self._progress = Progress()
        self._services: PrivateServices | None = None
        self._running: Running | None = None

    async def run(self) -> None:
        """Start everything, then keep it running. Stops all of it on the way out, whatever the reason."""
        begun = time.monotonic()
        self._run_directory.hold()
        try:
            link = await self._start()
            self._welcome(link, time.monotonic() - begun)
            await self._keep()
        finally:
            await self._stop()
            self._run_directory.release()

    async def _start(self) -> str:
        ports = ServicePorts.counted_from(self._port)
        services = PrivateServices(self._run_directory, ports, durable=True)
        system = self._system()
        system.check_ports()
        if services.all:
            ports.check()
        self._services = services
        with self._progress.under_way("starting Postgres, RabbitMQ and Redis"):
            await services.start(self._progress.done)
        if services.postgres is not None and services.postgres.elsewhere is not None:
            self._progress.say(
                f"    Postgres' own user cannot reach .run: its data is in {services.postgres.elsewhere}", "dim"
            )
        owner = services.addresses("tool")
        with self._progress.step("schema"):
            await asyncio.to_thread(migrate_database, owner.postgres)
        self._running = Running(self._run_directory, processes(system, services.addresses))
        with self._progress.under_way("starting gateway, kendra and media servers"):
            await self._running.start_all(self._progress.done)
        self._run_directory.note("url", system.url)
        if system.certificate is not None:
            self._run_directory.note("certificate", str(system.certificate))
        self._run_directory.note("postgres", owner.postgres)
        self._run_directory.note("amqp", owner.amqp)
        return await asyncio.to_thread(demo_link, system.url, owner.postgres, self._run_directory.secrets)

    def _system(self) -> System:
        base = self._port
        tls = self._run_directory.path / "tls"
        certificate, key = certificate_for(self._host, tls, secure=self._secure)
        return System(
            gateways=[Frontend("gateway", base + 1, http_port=base)],
            kendras=[Frontend("kendra", base + 2)],
            media_servers=[
                MediaServer(f"media-server-{n}", base + 2 + n, base + 5 + 5 * n, media_ports=5) for n in (1, 2)
            ],
            cluster_secret=cluster_secret(self._run_directory.secrets),
            host=self._address,
            name=self._host,
            certificate=certificate,
            key=key,
        )

    def _welcome(self, link: str, seconds: float) -> None:
        self._progress.say(f"\nReady after {seconds:.1f} s. Open this in two tabs:\n", "bold")
        self._progress.link(link)
        if self._secure and CERTIFICATE not in os.environ:
            self._progress.say("\nThe certificate is self-signed: the browser asks once whether to go on.", "dim")
        logs = self._run_directory.logs
        self._progress.say(f"\nLogs follow, and are kept in {logs}. Ctrl-C stops everything.\n", "dim")

    async def _keep(self) -> None:
        running, services = self._running, self._services
        assert running is not None
        assert services is not None
        kept = [Kept(child, partial(running.start, name)) for name, child in running.children.items()]
        kept += [Kept(service.child, partial(_start_service, services, service)) for service in services.all]
        follower = Follower({name: child.log for name, child in running.children.items()}, self._progress.log)
        async with asyncio.TaskGroup() as group:
            group.create_task(Supervisor(kept, self._progress.log).run())
            group.create_task(follower.run())

    async def _stop(self) -> None:
        if self._services is None:
            return
        with self._progress.step("stopped"):
            if self._running is not None:
                await self._running.stop_all()
            await self._services.stop()


async def _start_service(services: PrivateServices, service: Service) -> None:
    await service.start()
    services.record(service)
