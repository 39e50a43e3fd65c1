"""One line per meeting: its commands run one at a time as they arrive, those of different meetings side by side.

Each turn is a task of its own that no deadline cancels. At most 8 turns of a seat and 1,000 of a meeting wait, then it is
`busy`; what the server itself must do there (closings, settling) always finds room.
"""

import asyncio
import contextvars
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from contracts.failure import Busy
from contracts.ids import MeetingId, ParticipantId, Seat, TenantId

T = TypeVar("T")
Key = tuple[TenantId, MeetingId]
Seated = tuple[ParticipantId | None, Seat | None]
Work = Callable[[], Coroutine[None, None, T]]

MOST_OF_SEAT = 8
MOST_OF_MEETING = 1_000


@dataclass(slots=True, eq=False)
class _Turn(Generic[T]):
    work: Work[T]
    seat: Seated | None
    result: asyncio.Future[T] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    context: contextvars.Context = field(default_factory=contextvars.copy_context)

    def ended(self, task: asyncio.Task[T]) -> None:
        """Hand on how the task ended. Nobody may be waiting any more, so a failure counts as seen."""
        if self.result.done():
            return
        if task.cancelled():
            self.result.cancel()
        elif (error := task.exception()) is not None:
            self.result.set_exception(error)
            self.result.exception()
        else:
            self.result.set_result(task.result())


class Lines:
    """The lines that have something to do; one that ran empty is forgotten."""

    def __init__(self) -> None:
        self._lines: dict[Key, _Line] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, key: Key, work: Work[T], *, seat: Seated | None = None, always: bool = False) -> asyncio.Future[T]:
        """Have the work done when its turn comes. Raises Busy when too many wait, unless `always`."""
        line = self._lines.get(key) or _Line()
        result = line.put(work, seat, always, on_empty=lambda: self._forget(key))
        self._lines[key] = line
        self._empty.clear()
        return result

    def idle(self, key: Key) -> bool:
        """Say whether nothing runs or waits there."""
        return key not in self._lines

    async def drained(self) -> None:
        """Wait until every line ran empty. The caller has the deadline."""
        await self._empty.wait()

    def _forget(self, key: Key) -> None:
        del self._lines[key]
        if not self._lines:
            self._empty.set()


class _Line:
    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._of_seat: Counter[Seated] = Counter()
        self._running: asyncio.Task[object] | None = None
        self._on_empty: Callable[[], None] = lambda: None

    def put(
        self, work: Work[T], seat: Seated | None, always: bool, *, on_empty: Callable[[], None]
    ) -> asyncio.Future[T]:
        if not always and len(self._waiting) >= MOST_OF_MEETING:
            raise Busy("too many commands wait for this meeting")
        if not always and seat is not None and self._of_seat[seat] >= MOST_OF_SEAT:
            raise Busy("too many commands of this seat wait")
        turn = _Turn(work, seat)
        self._on_empty = on_empty
        self._waiting.append(lambda: self._begin(turn))
        if seat is not None:
            self._of_seat[seat] += 1
        if self._running is None:
            self._next()
        return turn.result

    def _next(self) -> None:
        if self._waiting:
            self._waiting.popleft()()
        else:
            self._running = None
            self._on_empty()

    def _begin(self, turn: _Turn[T]) -> None:
        if turn.seat is not None:
            self._of_seat[turn.seat] -= 1
            if not self._of_seat[turn.seat]:
                del self._of_seat[turn.seat]
        task = asyncio.get_running_loop().create_task(turn.work(), context=turn.context)
        self._running = task
        task.add_done_callback(lambda done: self._ended(turn, done))

    def _ended(self, turn: _Turn[T], task: asyncio.Task[T]) -> None:
        turn.ended(task)
        self._next()
