"""A service with one safeguard taken out, to see chaos notice: `python -m tests.chaos.sabotage <what> <service>`."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from services.cli.stack.process import Child
from services.cli.stack.system import Process


def no_fence() -> None:
    """A media server that does not mind losing its lease, and closes nothing that moved away."""
    from services.media_server.leaving import Leaving
    from services.media_server.reporting import Reporting
    from services.media_server.store import NotRegistered

    renew = Reporting.renew

    async def careless(self: Reporting) -> None:
        try:
            await renew(self)
        except NotRegistered:
            self._lease.renewed(time.monotonic())

    Reporting.renew = careless  # type: ignore[method-assign]
    assert Leaving.unwanted
    Leaving.unwanted = lambda *_: None  # type: ignore[method-assign]


def leaky_relay() -> None:
    """A kendra that leaves out the first event of each run of several, and sends the others all the same."""
    from services.kendra.events import Events
    from services.kendra.store.log import Run

    append = Events._append_run

    async def leaky(self: Events, run: Run) -> int:
        if len(run.entries) > 1:
            run = replace(run, entries=run.entries[1:], base=run.entries[0].sequence)
        return await append(self, run)

    Events._append_run = leaky  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class Sabotaged(Process):
    """A process that is started by way of this module."""

    what: str

    def child(self, logs: Path) -> Child:
        """Return it as a child that can be started."""
        child = Process.child(self, logs)
        child.command = [sys.executable, "-m", "tests.chaos.sabotage", self.what, self.command]
        return child


WHAT: dict[str, tuple[str, Callable[[], None]]] = {
    "no-fence": ("media-server", no_fence),
    "leaky-relay": ("kendra", leaky_relay),
}
"""By name: the service it is done to, and what is done."""


def sabotaged(what: str) -> Callable[[Process], Process]:
    """Return what has every process of that service started with its safeguard taken out."""
    service, _ = WHAT[what]

    def routed(process: Process) -> Process:
        if process.command != service:
            return process
        return Sabotaged(process.name, process.command, process.environment, process.ready, what)

    return routed


if __name__ == "__main__":
    from services.cli.main import main

    WHAT[sys.argv[1]][1]()
    sys.argv = ["doordarshan", *sys.argv[2:]]
    main()
