"""Following log files: each new line, with the name of the process in front."""

import asyncio
from collections.abc import Callable
from pathlib import Path

_LOOK_AGAIN_SECONDS = 0.25
_LONGEST_LOG = 20_000_000


def shorten(log: Path) -> None:
    """Put a log that has grown long aside (one older one is kept), before a process writes on."""
    if log.exists() and log.stat().st_size > _LONGEST_LOG:
        log.replace(log.with_suffix(".log.1"))


class Follower:
    """Prints what is appended to some files from the moment it was made."""

    def __init__(self, logs: dict[str, Path], show: Callable[[str, str], None]) -> None:
        self._logs = logs
        self._show = show
        self._read = {name: path.stat().st_size if path.exists() else 0 for name, path in logs.items()}

    async def run(self) -> None:
        """Show new lines until cancelled."""
        while True:
            for name, path in self._logs.items():
                self._catch_up(name, path)
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def _catch_up(self, name: str, path: Path) -> None:
        if not path.exists():
            return
        if path.stat().st_size < self._read[name]:
            self._read[name] = 0
        with path.open("rb") as file:
            file.seek(self._read[name])
            whole, _, _rest = file.read().rpartition(b"\n")
        if whole:
            self._read[name] += len(whole) + 1
            for line in whole.decode(errors="replace").splitlines():
                self._show(name, line)
