"""The run directory: everything that one run of the system keeps on this machine, and who runs it now.

`.run/up` belongs to `doordarshan up`, `.run/test/<n>` to test sessions. One process at a time holds its lock (released
by the kernel when that process dies). `state.json` says what it started, so that the next one finds what a crash left.
"""

import fcntl
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import IO, TypedDict

from services.cli.stack.errors import AlreadyRunning, CannotRun
from services.cli.stack.process import Identity
from services.cli.stack.secrets import Secrets

PROJECT = Path(__file__).resolve().parents[3]
"""The checkout: where migrations, web and pyproject.toml lie."""


class Started(TypedDict):
    """One process in `state.json`."""

    name: str
    pid: int
    started: float
    ready: str | None


class RunDirectory:
    """One run directory. `hold` before anything is started in it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.secrets = Secrets(self.path / "secrets.json")
        self._lock: IO[str] | None = None
        self._started: dict[str, Started] = {}
        self._facts: dict[str, str] = {}

    @classmethod
    def of_up(cls) -> "RunDirectory":
        """Return the run directory of this checkout's `up`."""
        return cls(Path(os.environ.get("DOORDARSHAN_RUN_DIRECTORY", PROJECT / ".run" / "up")))

    @property
    def logs(self) -> Path:
        """Where every process writes its output."""
        return self.path / "log"

    def hold(self) -> None:
        """Take the lock and end what a crashed holder left. Raises AlreadyRunning."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = (self.path / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            self._lock = None
            raise AlreadyRunning(self.holder()) from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        self._end_leftovers()

    def release(self) -> None:
        """Give the lock back; nothing runs any more."""
        (self.path / "state.json").unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def holder(self) -> int | None:
        """Return the pid of the process that holds the lock, None when nobody does."""
        try:
            with (self.path / "lock").open("r") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    return int(file.read().strip() or 0) or None
        except FileNotFoundError:
            return None
        return None

    def record(self, name: str, pid: int, ready: str | None = None) -> None:
        """Note a started process; `ready` is the URL that answers 200 when it is ready."""
        identity = Identity.of(pid)
        if identity is not None:
            self._started[name] = Started(name=name, pid=pid, started=identity.started, ready=ready)
            self._write_state()

    def note(self, name: str, value: str) -> None:
        """Note a fact that `status` needs, such as the gateway's address."""
        self._facts[name] = value
        self._write_state()

    def state(self) -> tuple[list[Started], dict[str, str]]:
        """Return what the holder started and noted; empty when nothing runs."""
        try:
            known = json.loads((self.path / "state.json").read_text())
        except FileNotFoundError:
            return [], {}
        return known["processes"], known["facts"]

    def _write_state(self) -> None:
        beside = self.path / "state.new"
        beside.touch(0o600)
        beside.write_text(json.dumps({"processes": list(self._started.values()), "facts": self._facts}, indent=1))
        beside.replace(self.path / "state.json")

    def _end_leftovers(self) -> None:
        for left in self.state()[0]:
            Identity(left["pid"], left["started"]).stop(grace=10)
        (self.path / "state.json").unlink(missing_ok=True)


def reachable(path: Path, user_id: int, group_id: int) -> bool:
    """Say whether a user can come down to this directory (execute permission on every parent)."""
    for parent in path.parents:
        found = parent.stat()
        bit = stat.S_IXUSR if found.st_uid == user_id else stat.S_IXGRP if found.st_gid == group_id else stat.S_IXOTH
        if not found.st_mode & bit:
            return False
    return True


def outside(path: Path) -> Path:
    """Return a directory under /var/tmp that stands for `path`, for a user who cannot reach that.

    /var/tmp is everybody's: the directory is made by us, or belongs to us and to nobody else to write.
    """
    name = f"doordarshan-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    place = Path("/var/tmp") / name
    place.mkdir(mode=0o711, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise CannotRun(f"{place} is not this user's own directory; remove it and try again")
    return place
