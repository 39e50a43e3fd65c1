"""Points at which a test may have a process die: each named once, here, and passed where the row says. Off unless a setting names one.

`DOORDARSHAN_FAULT_POINT` is `<point>:<n>`: the process gets SIGKILL from itself when it passes that point for the n-th time; or
`<point>@<command>:<n>`: … in the course of such a command (of a bus, so not in a gateway). Or it is `@<file>`: what the file says is
looked at at each pass, so that a process can be armed while it runs, and each pass is noted in `<file>.passed`.
"""

import os
import re
import signal
from enum import StrEnum
from pathlib import Path

import structlog

SETTING = "DOORDARSHAN_FAULT_POINT"
_NAMED = re.compile(r"(?P<point>[a-z-]+)(?:@(?P<command>[A-Za-z]+))?:(?P<number>[1-9]\d*)")


class Point(StrEnum):
    """Where a process may die."""

    BEFORE_RECEIVE = "before-receive"
    """Gateway: a request came, nothing is known of it. Kendra, media server: a command came, nothing was read of it."""
    AFTER_RECEIVE = "after-receive"
    """Gateway: it is known who asks and what. Kendra, media server: the command was read and is in time; no work was done."""
    BEFORE_PUBLISH = "before-publish"
    """Gateway, kendra: a command is about to be sent."""
    AFTER_PUBLISH = "after-publish"
    """Gateway, kendra: the broker has confirmed it."""
    BEFORE_EFFECT = "before-effect"
    """Media server: the command's turn came, and it was never handled before."""
    AFTER_EFFECT = "after-effect"
    """Media server: what is made is there in memory, its transaction has not begun."""
    BEFORE_COMMIT = "before-commit"
    """Kendra, media server: everything is written, nothing committed. A single statement of kendra's: about to be run."""
    AFTER_COMMIT = "after-commit"
    """Kendra, media server: the database has confirmed it."""
    BEFORE_LANDING = "before-landing"
    """Media server: committed; what waits for the commit (whatever closes, pauses) is not done in memory yet."""
    AFTER_LANDING = "after-landing"
    """Media server: it is done."""
    BEFORE_REPLY = "before-reply"
    """Gateway: the answer is about to be sent. Kendra, media server: the reply is."""
    AFTER_REPLY = "after-reply"
    """The answer, the reply was sent."""
    BEFORE_ACK = "before-ack"
    """Kendra, media server: the command is about to be acknowledged."""
    AFTER_ACK = "after-ack"
    """It was."""
    BEFORE_RELAY = "before-relay"
    """Kendra: a meeting's log is about to be read, to bring Redis up to it."""
    AFTER_RELAY = "after-relay"
    """Redis has all of it."""
    BEFORE_XADD = "before-xadd"
    """Kendra: a run of events was read and is about to be appended."""
    AFTER_XADD = "after-xadd"
    """Redis has taken it."""
    BEFORE_MARK = "before-mark"
    """Kendra: how far Redis has which logs is about to be written down."""
    AFTER_MARK = "after-mark"
    """It was."""


def reached(point: Point, command: str | None = None) -> None:
    """Pass a point. Unless the setting is there, this looks at one name and does nothing. `command`: where it is not bound for the log."""
    if _watch is not None:
        _watch.passed(point, command or structlog.contextvars.get_contextvars().get("command", ""))


class _Watch:
    """What the setting asks for."""

    def __init__(self, setting: str) -> None:
        self._file = Path(setting[1:]) if setting.startswith("@") else None
        self._wanted = "" if self._file is not None else setting
        self._left = 0
        if self._file is None:
            self._arm(setting)

    def passed(self, point: Point, command: str) -> None:
        """Count a pass, and die of it if it is the one."""
        if self._file is not None:
            self._look(self._file, point, command)
        named = _NAMED.fullmatch(self._wanted)
        if named is None or named["point"] != point or named["command"] not in {None, command}:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def _look(self, file: Path, point: Point, command: str) -> None:
        with file.with_name(f"{file.name}.passed").open("a") as passes:
            passes.write(f"{point}@{command}\n")
        wanted = file.read_text().strip() if file.exists() else ""
        if wanted != self._wanted:
            self._arm(wanted)

    def _arm(self, wanted: str) -> None:
        """Begin to count. Raises ValueError for what names no point."""
        self._wanted = wanted
        if not wanted:
            return
        named = _NAMED.fullmatch(wanted)
        if named is None or named["point"] not in set(Point):
            raise ValueError(f"{SETTING} names no fault point: {wanted}")
        self._left = int(named["number"])


_watch = _Watch(os.environ[SETTING]) if SETTING in os.environ else None
