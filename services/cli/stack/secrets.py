"""Passwords and keys of one run directory: made once, kept in `secrets.json` (mode 0600)."""

import json
import os
import secrets
import threading
from pathlib import Path

_BYTES = 24


class Secrets:
    """Named secrets, each made at its first use. All are URL-safe text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()  # services start side by side, partly in threads
        self._known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, name: str) -> str:
        """Return the secret of this name."""
        with self._lock:
            if name not in self._known:
                self._known[name] = secrets.token_urlsafe(_BYTES)
                self._write()
            return self._known[name]

    def put(self, name: str, value: str) -> str:
        """Keep a value under this name."""
        with self._lock:
            self._known[name] = value
            self._write()
        return value

    def find(self, name: str) -> str | None:
        """Return the secret if it was made before."""
        return self._known.get(name)

    def _write(self) -> None:
        """Replace the file in one step, so that a crash leaves the old or the new one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(self._known, file, indent=1)
        beside.replace(self._path)
