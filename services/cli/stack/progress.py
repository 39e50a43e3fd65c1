"""What `up` shows while it works: a line per finished step with its time, a spinner for what is under way."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

_COLOURS = ("cyan", "magenta", "yellow", "blue", "green", "bright_red")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Go on in silence when nobody reads any more (`make up | head`): what runs is not ended by that."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class Progress:
    """Prints to the terminal; without a terminal the same lines, plain."""

    def __init__(self) -> None:
        self.console = _Console(highlight=False, soft_wrap=True)
        self._colour_of: dict[str, str] = {}

    def done(self, what: str, seconds: float) -> None:
        """Say that a step is finished."""
        self.console.print(Text.assemble(("  ✓ ", "green"), f"{what:<24}", (f"{seconds:6.2f} s", "dim")))

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show a step while it is under way, and its time when it is finished."""
        begun = time.monotonic()
        with self.console.status(what):
            yield
        self.done(what, time.monotonic() - begun)

    @contextmanager
    def under_way(self, what: str) -> Iterator[None]:
        """Show that something is under way whose parts report themselves."""
        with self.console.status(what):
            yield

    def say(self, text: str, style: str = "") -> None:
        """Print one line."""
        self.console.print(Text(text, style=style))

    def link(self, url: str) -> None:
        """Print a link on a line of its own, unbroken."""
        self.console.print(Text(url, style="bold underline"), soft_wrap=True, no_wrap=True, crop=False)

    def log(self, name: str, line: str) -> None:
        """Print a process' log line with its name in front."""
        colour = self._colour_of.setdefault(name, _COLOURS[len(self._colour_of) % len(_COLOURS)])
        self.console.print(Text.assemble((f"{name:>16} │ ", colour), Text.from_ansi(line)))
