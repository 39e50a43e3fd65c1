"""The two commands as an operator runs them: `record` until it is interrupted, `replay` until it ends."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.cli.stack.private import AMQP_URL

_SECONDS = 110


@dataclass
class Recording:
    """A recorder that runs. `said` is complete when it has ended."""

    process: asyncio.subprocess.Process
    said: str = ""
    status: int | None = None

    async def says(self, text: str) -> None:
        """Wait until it prints a line with this text."""
        assert self.process.stdout is not None
        while text not in (line := (await self.process.stdout.readline()).decode()):
            assert line, f"it ended and never said {text!r}: {self.said}"
            self.said += line

    async def end(self, number: signal.Signals = signal.SIGINT) -> str:
        """Interrupt it; return all that it said."""
        self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> str:
        """Wait until it ends by itself; return all that it said."""
        self.said += (await self.process.communicate())[0].decode()
        self.status = self.process.returncode
        return self.said


@asynccontextmanager
async def recording(url: str, file: Path, *options: str) -> AsyncIterator[Recording]:
    """Record into a file, bound from the first line of the block on."""
    process = await program(url, "record", *options, str(file))
    recorder = Recording(process)
    try:
        async with asyncio.timeout(_SECONDS):
            await recorder.says("recording into")
            yield recorder
            if recorder.status is None:
                await recorder.end()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def replayed(url: str | None, *arguments: str | Path) -> tuple[int, str]:
    """Replay; return the exit status and what it printed, stderr included."""
    process = await program(url, "replay", *map(str, arguments))
    try:
        async with asyncio.timeout(_SECONDS):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def program(url: str | None, *words: str) -> asyncio.subprocess.Process:
    """Start the command line with words; a URL names the broker."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOORDARSHAN_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli.main",
        *words,
        env=kept | ({AMQP_URL: url} if url else {}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
