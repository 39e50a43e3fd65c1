"""Watching a server become empty: what is left, who has room for it, when it is over. Shown as a bar, or as lines where there is no terminal."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from contracts.servers import MediaServerView
from services.cli.stack.errors import CannotRun

EACH = 0.5
_ROUNDS = 5.0
"""Kendra's rounds may be this much later than the deadline; seconds."""
_LEAVING = 30.0
"""Routers that were left go on for a while, which ends by itself long before this."""


class Screen:
    """A bar with a line of words on a terminal; elsewhere a line each time that the words change."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), console=self._console, transient=True)
        self._task = self._bar.add_task("", total=None)
        self._said = ""

    def __enter__(self) -> "Screen":
        """Begin to draw, if this is a terminal."""
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the bar away."""
        if self._console.is_terminal:
            self._bar.stop()

    def show(self, words: str, seconds_left: float, done: int, of: int) -> None:
        """Show how far it is."""
        if self._console.is_terminal:
            self._bar.update(
                self._task, description=f"{words}, {max(seconds_left, 0):.0f} s to go", completed=done, total=of
            )
        elif words != self._said:
            self._console.print(words, soft_wrap=True)
        self._said = words

    def say(self, line: str) -> None:
        """Say something that stays."""
        self._console.print(line, soft_wrap=True)


class Emptying:
    """One server's way to being empty within so many seconds. The clock is this process's own: no two are compared."""

    def __init__(self, server: str, within: float, screen: Screen, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._screen = screen
        self._clock = clock
        self._until = clock() + within
        self._most: int | None = None
        self._left = 0
        self._warned = ""

    async def watch(self, servers: Callable[[], Awaitable[list[MediaServerView]]]) -> None:
        """Return when the server is empty. Raises CannotRun when the time is over, or somebody ended the drain."""
        empty = False
        while not empty:
            empty = self.over(await servers())
            await asyncio.sleep(0.0 if empty else EACH)

    def over(self, servers: Sequence[MediaServerView]) -> bool:
        """Take note of what the servers are like now; say whether this one is empty. Raises as `watch`."""
        own = next((one for one in servers if one.media_server_id == self._server), None)
        if own is None:
            self._screen.say(f"{self._server} is gone; what it had is moved as a dead server's is")
            return True
        self._left = own.meetings
        self._most = max(own.meetings, self._most or 0)
        if not own.draining:
            raise CannotRun(f"somebody ended the drain, with {_meetings(own.meetings)} on {self._server}")
        if own.meetings == own.leaving == 0:
            self._screen.say(f"{self._server} is empty and gets no new meetings")
            return True
        nobody = _room(servers, self._server)
        self._tell(own, nobody)
        late = self._clock() - self._until
        if own.meetings and late > _ROUNDS:
            why = nobody or "others have room, but did not take them yet"
            left = f"{_meetings(own.meetings)} could not leave {self._server}"
            raise CannotRun(f"the deadline passed and {left}: {why}. It goes on being drained")
        if late > _LEAVING:
            raise CannotRun(f"the deadline passed and {own.leaving} old routers on {self._server} do not end")
        return False

    def cancelled(self) -> str:
        """Return what is to be said when somebody does not wait for the end."""
        most = self._most or 0
        return f"cancelled: {self._server} gets meetings again; {most - self._left} of {_meetings(most)} left it, and stay where they are"

    def _tell(self, own: MediaServerView, nobody: str | None) -> None:
        if own.meetings and nobody and nobody != self._warned:
            self._screen.say(nobody)
            self._warned = nobody
        leaving = f", {own.leaving} leaving" if own.leaving else ""
        words = f"{self._server}: {_meetings(own.meetings)} left{leaving}"
        self._screen.show(words, self._until - self._clock(), (self._most or 0) - own.meetings, self._most or 0)


def _meetings(number: int) -> str:
    return "1 meeting" if number == 1 else f"{number} meetings"


def _room(servers: Sequence[MediaServerView], besides: str) -> str | None:
    """Return why nothing can move away, None when some other server has room."""
    others = [one for one in servers if one.media_server_id != besides and one.live and not one.draining]
    if not others:
        return "there is no other media server that meetings could move to"
    if all(one.booked >= one.capacity for one in others):
        return "no other media server has room"
    return None
