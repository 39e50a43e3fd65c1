"""Who has chosen which port: between the choice and the listening nothing else says so, and a port is free again while its process starts anew.

* A port is the byte of its number in one file of this user. Whoever chose it holds a lock on that byte until it ends, however it ends;
  processes that it starts do not inherit the lock.
* Only those who ask here are kept apart: whether anybody else has the port must be asked of the kernel, after the claim, so that nobody
  tries a port at the very moment its owner takes it.
"""

import fcntl
import os
import tempfile
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final

FILE: Final = Path(tempfile.gettempdir()) / f"doordarshan-ports-{os.getuid()}"
_MOST = 2_000


class Claims:
    """The ports that this process has chosen: the newest 2,000, so that a few that choose again and again leave some for others.

    A process has one of these for a file, for closing any of several would give the locks of all back.
    """

    def __init__(self, file: Path = FILE) -> None:
        self._file = file
        self._opened: int | None = None
        self._held: deque[int] = deque()

    def take(self, port: int) -> bool:
        """Claim a port; False when somebody has it, this process too."""
        if port in self._held:
            return False
        try:
            fcntl.lockf(self._open(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except (BlockingIOError, PermissionError):
            return False
        self._held.append(port)
        if len(self._held) > _MOST:
            self.give_back(self._held[0])
        return True

    def give_back(self, port: int) -> None:
        """Leave a port to others."""
        with suppress(ValueError):
            self._held.remove(port)
            fcntl.lockf(self._open(), fcntl.LOCK_UN, 1, port)

    def _open(self) -> int:
        if self._opened is None:
            self._opened = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        return self._opened
