"""A process that dies at the point it was armed for, and the spare that takes over: started before, everything imported, at its gate."""

import asyncio
import signal
from itertools import count
from pathlib import Path

from services.cli.stack.process import Child
from services.cli.stack.readiness import until_ready
from services.environment import GATE
from services.fault_points import SETTING, Point
from services.testing.system import System
from tests.eventually import eventually

_numbers = count(1)
_READY = 15.0
BLANK = "@"
"""How a pass is noted that no command was the reason of: a round, or a gateway's."""


def setting(place: Path, name: str) -> dict[str, str]:
    """Return the setting with which the process of that name can be armed while it runs."""
    return {SETTING: f"@{place / name}"}


class Victim:
    """Whoever runs under one name. `place` is the directory that `setting` named."""

    def __init__(self, system: System, name: str, place: Path) -> None:
        self.name = name
        self._system = system
        self._point, self._passed = place / name, place / f"{name}.passed"
        self._place = place
        self._spare: asyncio.Task[tuple[Child, Path]] | None = None

    @property
    def passes(self) -> list[str]:
        """The passes since `forget`, each as `<point>@<command>`."""
        return self._passed.read_text().splitlines() if self._passed.exists() else []

    def forget(self) -> None:
        """Forget which points were passed."""
        self._passed.unlink(missing_ok=True)

    def arm(self, at: str) -> None:
        """Have it die at `<point>@<command>:<n>`, counted from now."""
        armed = self._point.with_suffix(".new")
        armed.write_text(at)
        armed.replace(self._point)

    def disarm(self) -> None:
        """Have it live."""
        self._point.unlink(missing_ok=True)

    async def died(self, within: float) -> None:
        """Wait until it died of the point. Fails when it lives on, or died of something else."""
        child = self._system.running.children[self.name]
        try:
            async with asyncio.timeout(within):
                status = await child.wait()
        except TimeoutError:
            raise AssertionError(f"{self.name} lives on; since it was armed it passed {self.passes}") from None
        finally:
            armed_for = self._point.read_text()
            self.disarm()
        assert status == -signal.SIGKILL, f"{self.name} ended with {status}:\n{self._system.log(self.name)}"
        wanted = armed_for.partition(":")[0]
        last = (self.passes or ["nowhere"])[-1]
        assert last == wanted or last.partition(BLANK)[0] == wanted, f"{self.name} died at {last}, not at {armed_for}"

    async def at_rest(self) -> None:
        """Wait until nothing is left to be written down of what a kendra relayed."""

        async def marked() -> bool:
            told = [one.partition(BLANK)[0] for one in self.passes]
            relayed, marked = _last(told, Point.AFTER_RELAY), _last(told, Point.BEFORE_MARK)
            return _last(told, Point.BEFORE_RELAY) <= relayed <= marked <= _last(told, Point.AFTER_MARK)

        await eventually(marked)

    def start_a_spare(self) -> "asyncio.Task[tuple[Child, Path]]":
        """Have a spare started beside what goes on, unless there is one."""
        if self._spare is None:
            self._spare = asyncio.create_task(self._at_its_gate(), name=f"a spare {self.name}")
        return self._spare

    async def _at_its_gate(self) -> tuple[Child, Path]:
        process = self._system.running.processes[self.name]
        spare = process.child(self._system.running.children[self.name].log.parent)
        gate = self._place / f"gate-{next(_numbers)}"
        spare.environment = {**process.environment, GATE: str(gate)}
        await spare.start()
        return spare, gate

    async def replace(self) -> None:
        """Let the spare through its gate, in the name of who died; wait until it is ready."""
        spare, gate = await self.start_a_spare()
        self._spare = None
        self._system.running.children[self.name] = spare
        gate.touch()
        ready = asyncio.ensure_future(until_ready(self._system.running.processes[self.name].ready))
        ended = asyncio.ensure_future(spare.wait())
        await asyncio.wait({ready, ended}, timeout=_READY, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        assert ready.cancel() is False, f"{self.name} does not come back:\n{self._system.log(self.name)}"

    async def send_spare_home(self) -> None:
        """End the spare that nobody needed."""
        if self._spare is not None:
            spare, _ = await self._spare
            await spare.kill()


def _last(told: list[str], point: Point) -> int:
    """Return the place of the last pass of a point, -1 for none."""
    return max((place for place, one in enumerate(told) if one == point), default=-1)
