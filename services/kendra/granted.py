"""Which grant a command takes. The gateway has checked already; whoever reaches the queue otherwise is checked here.

Some take a seat: a participant token of any grants. An admin may do everything that a seat may.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from contracts.actor import Actor, Grant
from contracts.failure import Forbidden
from contracts.meeting import Direction
from contracts.recreate_transport import RecreateTransport
from services.bus import Call
from services.kendra.world import World

OrderT = TypeVar("OrderT")
ReplyT = TypeVar("ReplyT")

SEAT: None = None
"""Takes a participant token, whatever it grants."""

BUDGET = 4.0
"""The most that kendra takes for a command, seconds, so that the gateway can answer within 4.5."""

_OF_DIRECTION: Mapping[Direction, Grant] = {Direction.SEND: Grant.PRODUCE, Direction.RECV: Grant.CONSUME}


def check(order: object, actor: Actor, grant: Grant | None, *others: Grant) -> None:
    """Raise Forbidden unless the actor may give the order. A participant token joins again without the grant; any of `others` will do as well."""
    if isinstance(order, RecreateTransport):
        grant = _OF_DIRECTION[order.direction]
    if grant in {None, Grant.PRODUCE, Grant.CONSUME} and Grant.ADMIN in actor.grants:
        return
    if grant is Grant.JOIN and actor.seat is not None:
        return
    if any(other in actor.grants for other in others):
        return
    if grant is None and actor.seat is None:
        raise Forbidden("this takes a participant token")
    if grant is not None and grant not in actor.grants:
        raise Forbidden(f"this takes the grant {grant}")


def granted(
    flow: Callable[[OrderT, Call, World], Awaitable[ReplyT]], grant: Grant | None, *others: Grant
) -> Callable[[OrderT, Call, World], Awaitable[ReplyT]]:
    """Return the flow behind its check and within kendra's budget."""

    async def checked(order: OrderT, call: Call, world: World) -> ReplyT:
        check(order, call.actor, grant, *others)
        latest = time.monotonic() + BUDGET
        return await flow(order, call if call.deadline <= latest else replace(call, deadline=latest), world)

    return checked
