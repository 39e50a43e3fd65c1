"""The steps of an installation: each is shown with its time, runs in silence, and is left out where its inputs are what they were."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PROJECT = Path(__file__).resolve().parents[1]
STATE = PROJECT / ".run" / "install"


class CannotInstall(Exception):
    """Something is missing and cannot be installed; the message says what to do."""


def digest(paths: Iterable[Path]) -> str:
    """Return one hash over names and contents."""
    sha = hashlib.sha256()
    for path in paths:
        content = path.read_bytes() if path.exists() else b""
        sha.update(f"{path.relative_to(PROJECT)} {len(content)}\n".encode() + content)
    return sha.hexdigest()


def unchanged(name: str, inputs: list[Path]) -> bool:
    """Say whether these inputs are what was installed or built last."""
    stamp = STATE / name
    return stamp.exists() and stamp.read_text() == digest(inputs)


def remember(name: str, inputs: list[Path]) -> None:
    """Note that these inputs are installed or built."""
    STATE.mkdir(parents=True, exist_ok=True)
    (STATE / name).write_text(digest(inputs))


@contextmanager
def step(what: str) -> Iterator[None]:
    """Show a step and how long it took."""
    begun = time.monotonic()
    print(f"  … {what}", end="\r" if sys.stdout.isatty() else "\n", flush=True)
    yield
    print(f"  ✓ {what:<24}{time.monotonic() - begun:6.2f} s", flush=True)


def run(
    command: list[str],
    failure: str,
    cwd: Path = PROJECT,
    check: bool = True,
    settings: Mapping[str, str] | None = None,
) -> str | None:
    """Run a program in silence. Return None when it succeeded, else its last words; with `check` raise CannotInstall."""
    done = subprocess.run(
        command,
        cwd=str(cwd),
        env={**os.environ, **(settings or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stdout.decode(errors="replace").splitlines() if line.strip()]
    last = next(
        (line for line in reversed(lines) if "error" in line.lower() or line.startswith("E:")),
        (lines or ["no output"])[-1],
    )
    if check:
        raise CannotInstall(f"{failure}: {last[:300]}")
    return last
