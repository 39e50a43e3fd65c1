"""`doordarshan up` as a process of its own, in a run directory and on ports of its own."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from services.cli.stack.ports import free_run
from services.cli.stack.rundir import Started

_COMMAND = (sys.executable, "-m", "services.cli.main")
_START_SECONDS = 90.0
_COUNTED = 41
"""Ports that `up` may count from its base on."""


def free_base() -> int:
    """Return a base whose ports nobody uses."""
    return free_run(_COUNTED)


@dataclass
class Up:
    """One checkout's `up`: start it, talk to it, look at what it started."""

    directory: Path
    base: int = field(default_factory=free_base)
    given: dict[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    printed: list[str] = field(default_factory=list)
    _reading: asyncio.Task[None] | None = None

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DOORDARSHAN_")}
        return {**inherited, "DOORDARSHAN_RUN_DIRECTORY": str(self.directory), **self.given}

    async def start(self, *options: str) -> str:
        """Start it and return the link it prints."""
        self.process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            *("up", "--port", str(self.base), *options),
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert self.process.stdout is not None
        self.printed = []
        async with asyncio.timeout(_START_SECONDS):
            async for line in self.process.stdout:
                self.printed.append(line.decode().rstrip())
                if "#token=" in self.printed[-1]:
                    self._reading = asyncio.create_task(self._read_on())
                    return self.printed[-1]
        raise AssertionError("\n".join(self.printed))

    async def _read_on(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.printed.append(line.decode().rstrip())

    async def call(self, *arguments: str) -> tuple[int, str]:
        """Run another command of the same checkout; return its status and what it printed."""
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            *arguments,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), _START_SECONDS)
        return process.returncode or 0, output.decode()

    async def ended(self, seconds: float = 60.0) -> int:
        """Wait until it has ended; return its status."""
        assert self.process is not None
        async with asyncio.timeout(seconds):
            if self._reading is not None:
                await self._reading
            return await self.process.wait()

    def started(self) -> dict[str, Started]:
        """Return what it started, by name."""
        try:
            state = json.loads((self.directory / "state.json").read_text())
        except FileNotFoundError:
            return {}
        return {process["name"]: process for process in state["processes"]}

    async def until_gone(self, pids: list[int], seconds: float = 30.0) -> None:
        """Wait until none of these processes lives."""
        async with asyncio.timeout(seconds):
            while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
                await asyncio.sleep(0.05)

    async def until_ready_again(self, name: str, old: int, seconds: float = 60.0) -> None:
        """Wait until another process has taken the place of `old`, and everything is ready."""
        async with asyncio.timeout(seconds):
            while self.started()[name]["pid"] == old or (await self.call("status"))[0] != 0:
                await asyncio.sleep(0.1)
