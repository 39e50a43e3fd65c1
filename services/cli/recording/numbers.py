"""Which records are missing: each process numbers its own from 1, so a number that is skipped is a record that never came. Pure."""

from datetime import datetime

from services.cli.recording.lines import Hole

Process = tuple[str, str]
"""Service and process."""


class Numbers:
    """The last number of each process. What a process told before it was first heard is nobody's loss."""

    def __init__(self) -> None:
        self._last: dict[Process, int] = {}
        self._heard: set[Process] = set()

    def take(self, process: Process, number: int, at: datetime) -> Hole | None:
        """Note a record; return the hole before it, if there is one."""
        last = self._last.get(process)
        self._last[process] = max(number, last or 0)
        self._heard.add(process)
        if last is None or number <= last + 1:
            return None
        return Hole(service=process[0], process=process[1], after=last, before=number, at=at)

    def interrupted(self) -> None:
        """Note that from here on every process must be heard again before it is known to have lost nothing."""
        self._heard.clear()

    def unheard(self) -> list[str]:
        """Return the processes that were not heard since the last interruption, as `<service> <process>`."""
        return [" ".join(process) for process in sorted(self._last.keys() - self._heard)]
