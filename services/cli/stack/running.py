"""The system's processes while they run: start and be ready, kill, stop, each by its name."""

import asyncio
from collections.abc import Callable, Collection, Iterable

from services.cli.stack.errors import NotReady
from services.cli.stack.follow import shorten
from services.cli.stack.process import Child
from services.cli.stack.readiness import status_of, until_ready
from services.cli.stack.rundir import RunDirectory
from services.cli.stack.system import Process

_READY_SECONDS = 40.0
_STOP_SECONDS = 12.0


class Running:
    """The processes of one system in one run directory."""

    def __init__(self, run: RunDirectory, processes: Iterable[Process]) -> None:
        self._run = run
        self.processes = {process.name: process for process in processes}
        self.children: dict[str, Child] = {name: process.child(run.logs) for name, process in self.processes.items()}

    async def start_all(
        self, on_ready: Callable[[str, float], None] = lambda _name, _seconds: None, late: Collection[str] = ()
    ) -> None:
        """Start every process but the `late` ones, side by side, and wait until all are ready. Raises NotReady."""
        try:
            async with asyncio.TaskGroup() as group:
                for name in self.processes.keys() - set(late):
                    group.create_task(self._start_told(name, on_ready))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def start(self, name: str) -> None:
        """Start one process (again) and wait until it is ready. Raises NotReady."""
        child, process = self.children[name], self.processes[name]
        shorten(child.log)
        await child.start()
        if child.pid is not None:
            self._run.record(name, child.pid, process.ready)
        ready = asyncio.ensure_future(until_ready(process.ready))
        ended = asyncio.ensure_future(child.wait())
        try:
            await asyncio.wait((ready, ended), timeout=_READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done() or ended.done():
                raise NotReady(name, await self._why(name))
        finally:
            ready.cancel()
            ended.cancel()

    async def kill(self, name: str) -> None:
        """Kill one process with SIGKILL and wait until it is gone."""
        await self.children[name].kill()

    async def stop(self, name: str) -> None:
        """Ask one process to end, and wait until it has."""
        await self.children[name].stop(_STOP_SECONDS)

    async def stop_all(self) -> None:
        """Stop every process, side by side."""
        await asyncio.gather(*(child.stop(_STOP_SECONDS) for child in self.children.values()))

    async def _start_told(self, name: str, on_ready: Callable[[str, float], None]) -> None:
        begun = asyncio.get_running_loop().time()
        await self.start(name)
        on_ready(name, asyncio.get_running_loop().time() - begun)

    async def _why(self, name: str) -> str:
        child, process = self.children[name], self.processes[name]
        if not child.running:
            return f"it ended: {child.last_words()}"
        status, body = await status_of(process.ready)
        return f"{process.ready} says {status} {' '.join(body.split())[:200]}" if status else child.last_words()
