"""What the system's processes wrote: nothing broke, and no secret was told."""

import re
from collections.abc import Collection, Iterator

from services.testing.system import CLUSTER_SECRET, SECRET, System

_TRACEBACK = "Traceback (most recent call last)"
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ")
_LINES_SHOWN = 25


def complaints(system: System, allowed: Collection[str] = ()) -> Iterator[str]:
    """Yield each traceback and each secret in any process' log. A traceback with a text of `allowed` in it is no complaint."""
    directory = next(iter(system.running.children.values())).log.parent
    for path in sorted(directory.glob("*.log")):
        written = path.read_text(errors="replace")
        for trace in _tracebacks(written.splitlines()):
            if not any(text in trace for text in allowed):
                yield f"{path.stem} wrote:\n{trace}"
        if _TOKEN.search(written) or SECRET in written or CLUSTER_SECRET in written:
            yield f"{path.stem} wrote a secret or a token"


def _tracebacks(lines: list[str]) -> Iterator[str]:
    """Yield each traceback with the line before it, up to its exception's own line."""
    for number, line in enumerate(lines):
        if _TRACEBACK not in line:
            continue
        end = number + 1
        while end < len(lines) and lines[end].startswith((" ", "\t")):
            end += 1
        shown = lines[max(number - 1, 0) : end + 1]
        yield "\n".join(shown if len(shown) <= _LINES_SHOWN else [*shown[:3], "…", *shown[-_LINES_SHOWN:]])
