"""Two kendras that serve and two that wait at their gates, imported and ready to take over at once."""

from collections import deque
from pathlib import Path

from services.cli.stack.readiness import status_of
from services.testing.system import System
from tests.eventually import eventually

SERVING, WAITING = ("kendra-1", "kendra-2"), ("kendra-3", "kendra-4")


class Gates:
    """The files that let a process begin, one for each name."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def of(self, name: str) -> Path:
        """Return the gate of a process."""
        return self._directory / f"gate-{name}"

    def settings(self) -> dict[str, dict[str, str]]:
        """Return what tells each kendra its gate; those that serve find theirs open."""
        for name in SERVING:
            self.of(name).touch()
        return {name: {"DOORDARSHAN_GATE": str(self.of(name))} for name in (*SERVING, *WAITING)}


class Spares:
    """Who serves and who waits."""

    def __init__(self, system: System, gates: Gates) -> None:
        self._system, self._gates = system, gates
        self._serving, self._waiting = deque(SERVING), deque[str]()
        self.killed = 0

    async def begin(self) -> None:
        """Have the spares wait at their gates."""
        for name in WAITING:
            await self._wait_at_gate(name)

    async def both_ready(self, within: float) -> None:
        """Wait until both that serve are ready."""

        async def ready() -> bool:
            answers = [await status_of(f"{self._system.admin_url(name)}/readyz") for name in self._serving]
            return all(status == 200 for status, _ in answers)

        await eventually(ready, within=within)

    async def kill_one(self) -> None:
        """Kill the one that has served longest; a spare takes its place, and it comes back as a spare."""
        victim, heir = self._serving.popleft(), self._waiting.popleft()
        await self._system.kill(victim)
        self.killed += 1
        self._gates.of(heir).touch()
        self._serving.append(heir)
        await self._wait_at_gate(victim)

    async def end(self) -> None:
        """Have the two serve that did at first, and nobody wait."""
        for name in (*SERVING, *WAITING):
            self._gates.of(name).touch()
        for name in WAITING:
            await self._system.stop(name)
            self._gates.of(name).unlink()
        self._serving = deque(SERVING)
        await self.both_ready(within=20)

    async def _wait_at_gate(self, name: str) -> None:
        self._gates.of(name).unlink(missing_ok=True)
        await self._system.running.children[name].start()
        self._waiting.append(name)
