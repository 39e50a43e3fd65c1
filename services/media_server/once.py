"""One effect per command id: a repeat in flight joins the first, one that comes later gets the stored reply, byte for byte.

The work runs in its line, in a task that no deadline cancels; only who waits is cancelled. A command whose turn comes after
its deadline, or after the lease, is dropped before any work. The same id with another body is refused. A stored reply about a
router that is no more is not given.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import TypeVar

from contracts.failure import DeadlineExceeded, IdempotencyKeyReused
from contracts.ids import CommandId
from contracts.message import Reply
from services.bus import Call
from services.fault_points import Point, reached
from services.media_server.lines import Key, Lines
from services.media_server.store import Store

R = TypeVar("R", bound=Reply)


@dataclass(slots=True, eq=False)
class _Flight:
    """A command whose work waits or runs."""

    hash: str
    deadline: float
    reply: "asyncio.Future[Reply]" = field(init=False)


class Once:
    """`pay_debts` brings a line's memory and rows together; it runs before each command.

    `may_answer` raises while the lease does not hold, `stands` when the router that a command means is no more.
    """

    def __init__(
        self,
        store: Store,
        lines: Lines,
        pay_debts: Callable[[Key], Awaitable[None]],
        *,
        may_answer: Callable[[], None],
        stands: Callable[[Call], object],
    ) -> None:
        self._store = store
        self._lines = lines
        self._pay_debts = pay_debts
        self._may_answer, self._stands = may_answer, stands
        self._flights: dict[CommandId, _Flight] = {}

    async def __call__(self, call: Call, reply: type[R], work: Callable[[], Coroutine[None, None, R]]) -> R:
        """Return the command's one reply, doing the work if nobody did. Raises Busy, IdempotencyKeyReused, and what it raises."""
        flight = self._flights.get(call.command_id) or self._begin(call, reply, work)
        _same_body(flight.hash, call)
        flight.deadline = max(flight.deadline, call.deadline)
        answer = await asyncio.shield(flight.reply)
        assert isinstance(answer, reply)
        return answer

    def _begin(self, call: Call, reply: type[R], work: Callable[[], Coroutine[None, None, R]]) -> _Flight:
        flight = _Flight(call.body_hash, call.deadline)

        async def turn() -> Reply:
            if time.monotonic() > flight.deadline:
                raise DeadlineExceeded("the command's turn came after its deadline; nothing was done")
            self._may_answer()
            return await self._first_or_again(call, reply, work)

        seat = None if call.actor.seat is None else (call.actor.participant, call.actor.seat)
        flight.reply = self._lines.put((call.tenant, call.meeting), turn, seat=seat)
        self._flights[call.command_id] = flight
        flight.reply.add_done_callback(lambda _: self._flights.pop(call.command_id))
        return flight

    async def _first_or_again(self, call: Call, reply: type[R], work: Callable[[], Coroutine[None, None, R]]) -> R:
        await self._pay_debts((call.tenant, call.meeting))
        handled = await self._store.handled(call.command_id)
        if handled is None:
            reached(Point.BEFORE_EFFECT)
            return await work()
        _same_body(handled.hash, call)
        self._stands(call)
        return reply.model_validate_json(handled.reply)


def _same_body(hash: str, call: Call) -> None:
    if hash != call.body_hash:
        raise IdempotencyKeyReused
