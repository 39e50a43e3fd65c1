"""A child process: started in its own session, watched, stopped, killed; and the processes an earlier run left behind.

A child gets a signal when the process that started it dies (`setpriv --pdeathsig`), so that even a kill -9 of `up`
leaves nothing behind. A process is recorded by pid and start time: a pid alone may be somebody else's by now.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from services.cli.stack.programs import program

_ARMED_SECONDS = 5.0


def _is_setpriv(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "setpriv\n"
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that can be found again: its pid and when it started (seconds since boot's epoch, as the kernel says)."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """Return the identity of a live process, or None."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    def process(self) -> psutil.Process | None:
        """Return the process if it still is the same one and lives."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.started) < 1.0 and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return found if same else None

    def stop(self, grace: float) -> None:
        """Ask the process to end, after `grace` seconds make it."""
        found = self.process()
        if found is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            found.terminate()
            try:
                found.wait(grace)
            except psutil.TimeoutExpired:
                found.kill()
                found.wait(grace)


@dataclass(slots=True)
class Child:
    """One child process. `stop_signal` asks it to end in order; its output goes to `log`, appended."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    log: Path
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGTERM
    process: asyncio.subprocess.Process | None = field(default=None, init=False)

    async def start(self) -> None:
        """Start it; says nothing about being ready."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        prefix: list[str] = [str(program("setpriv", "util-linux"))]
        if self.user is not None:
            prefix += ["--reuid", self.user, "--regid", self.user, "--init-groups"]
        prefix += ["--pdeathsig", self.orphan_signal.name.removeprefix("SIG"), "--"]
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *prefix,
                *map(str, self.command),
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        await self._armed(self.process)

    async def _armed(self, process: asyncio.subprocess.Process) -> None:
        """Wait until setpriv has become the command: if we died before that, nobody would tell the child."""
        deadline = asyncio.get_running_loop().time() + _ARMED_SECONDS
        while process.returncode is None and asyncio.get_running_loop().time() < deadline:
            if not _is_setpriv(process.pid):
                return
            await asyncio.sleep(0.001)

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.returncode is None

    @property
    def pid(self) -> int | None:
        """The pid while it runs."""
        return self.process.pid if self.process is not None and self.running else None

    async def wait(self) -> int:
        """Wait until it ends; return its status (negative: the signal that killed it)."""
        assert self.process is not None, f"{self.name} was not started"
        return await self.process.wait()

    async def stop(self, grace: float = 10.0) -> None:
        """Ask it to end, after `grace` seconds kill it and everything in its session."""
        if not self.running:
            return
        self._signal(self.stop_signal)
        try:
            await asyncio.wait_for(self.wait(), grace)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """Kill it and everything in its session, as a crash would."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal. Not through asyncio's own method: that polls, and takes the exit status from its watcher."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def last_words(self, lines: int = 5) -> str:
        """Return the end of its log, as one line."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return ""
        return " | ".join(line.strip()[:200] for line in text.splitlines()[-lines:] if line.strip())
