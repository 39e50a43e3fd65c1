"""Postgres, RabbitMQ and Redis of the outage tests' own, to be killed, frozen, wiped and started again: nobody else is on them."""

import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import psutil

from services.cli.stack.errors import NotReady
from services.cli.stack.private import Service
from services.cli.stack.rundir import RunDirectory
from services.testing.session import Session


def family(pid: int) -> list[int]:
    """Return a process and all that came from it: Postgres' backends are in sessions of their own."""
    parent = psutil.Process(pid)
    return [pid, *(child.pid for child in parent.children(recursive=True))]


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Stop processes with all that came from them, as a machine that swaps or a paused virtual machine would; let them go on after."""
    stopped = [one for pid in pids for one in family(pid)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class OwnServices(Session):
    """Services that keep what they were told over a crash, and that may be hurt."""

    def service(self, name: str) -> Service:
        """Return postgres, rabbitmq or redis."""
        return next(one for one in self.services.all if one.name == name)

    def pid(self, name: str) -> int:
        """Return the pid of a service's first process."""
        pid = self.service(name).child.pid
        assert pid is not None, f"{name} does not run"
        return pid

    async def kill(self, name: str) -> None:
        """Kill a service with SIGKILL; of Postgres the postmaster, whose backends end a moment later."""
        await self.service(name).kill()

    async def start(self, name: str) -> None:
        """Start a service as a supervisor would, again and again; returns when it answers."""
        service = self.service(name)
        if not service.child.running:
            with suppress(NotReady):
                await service.start()
                return
            await service.start()

    def wipe_redis(self) -> None:
        """Delete what a Redis that does not run had on its disk."""
        shutil.rmtree(self.run.path / "redis", ignore_errors=True)


@asynccontextmanager
async def own_services(session: Session) -> AsyncIterator[OwnServices]:
    """Give services of one's own, in a run directory beside the session's; each starts when it is first needed."""
    with session.place("outages") as place:
        run = RunDirectory(place)
        run.hold()
        services = OwnServices(run, durable=True, given={})
        try:
            yield services
        finally:
            await services.stop()
            run.release()
            postgres = services.services.postgres
            if postgres is not None and postgres.elsewhere is not None:
                shutil.rmtree(postgres.elsewhere.parent, ignore_errors=True)
