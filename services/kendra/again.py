"""Once more: join and recreate look again when the meeting moved under them."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeVar

from contracts.failure import KendraError
from services.bus import Call
from services.kendra.world import World

OrderT = TypeVar("OrderT")
ReplyT = TypeVar("ReplyT")
Flow = Callable[[OrderT, Call, World], Awaitable[ReplyT]]

_WORTH_IT = 0.2
"""With less than this left of the deadline, seconds, a second run would only be cut off."""


def once_more_on(*failures: type[KendraError]) -> Callable[[Flow[OrderT, ReplyT]], Flow[OrderT, ReplyT]]:
    """Run a flow a second time from its start when the first ends with one of these."""

    def around(flow: Flow[OrderT, ReplyT]) -> Flow[OrderT, ReplyT]:
        @wraps(flow)
        async def twice(order: OrderT, call: Call, world: World) -> ReplyT:
            try:
                return await flow(order, call, world)
            except failures:
                if call.remaining() < _WORTH_IT:
                    raise
            return await flow(order, call, world)

        return twice

    return around
