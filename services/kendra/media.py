"""Asking media servers. One ask takes at most 1.5 s; its command id is derived from the client's, so a repeat has its effect once.

Whether a server can be asked was read in the query that resolved the meeting. A server that is dead is not asked; one whose lease
only looks over is, and the deadline bounds it.
"""

from typing import TypeVar

from contracts.actor import Actor
from contracts.create_meeting import AllocateRouter
from contracts.end_meeting import CloseRouter
from contracts.failure import (
    Busy,
    DeadlineExceeded,
    Internal,
    KendraError,
    MediaServerUnavailable,
    MeetingNotFound,
    StaleEpoch,
)
from contracts.join_meeting import CloseSeats
from contracts.meeting import Capacity
from contracts.message import Command, Reply
from services.bus import Bus, Call, media_queue
from services.kendra.place import LeftBehind, Place, Seated
from services.kendra.servers import Servers

R = TypeVar("R", bound=Reply)

ASK = 1.5
"""The most one ask may take, so that two servers can be tried; seconds."""
CLOSE = 0.5
"""The most that closing what nobody needs any more may hold up a caller."""

_WORTH_TELLING = 0.2
"""With less than this left of a command, seconds, it is the command that took too long, not the ask."""

_REFUSALS = (MediaServerUnavailable, DeadlineExceeded, Busy, Internal)
_OVERTAKEN = (StaleEpoch, MeetingNotFound)


class Silent(MediaServerUnavailable):
    """The meeting's media server did not answer in time, so it is unknown whether this was done; repeat it with the same key."""


class Media:
    """The media servers, by way of the bus."""

    def __init__(self, bus: Bus, servers: Servers) -> None:
        self._bus = bus
        self._servers = servers

    async def ask(self, seated: Seated, order: Command[R], call: Call) -> R:
        """Have the participant's media server carry out an order in the participant's name.

        Raises what the server answers; MediaServerUnavailable (it is dead, or makes its router just now); Silent; DeadlineExceeded when
        the whole command has no time left.
        """
        nested = _nested(order, seated.place, call, _as_seated(call.actor, seated))
        return await self._ask_router(seated.place, order, call, nested)

    async def ask_meeting(self, place: Place, order: Command[R], call: Call) -> R:
        """Have the meeting's media server carry out an order about the meeting as a whole."""
        return await self._ask_router(place, order, call, _nested(order, place, call, call.actor))

    async def allocate(self, place: Place, call: Call) -> str | None:
        """Have the wanted server make the meeting's router; return why it did not, None when the rows tell what is true now."""
        order = AllocateRouter(capacity=Capacity(participants=place.participants, producers=place.producers))
        try:
            await self._ask(place, order, _nested(order, place, call, call.actor))
        except _OVERTAKEN:
            return None
        except _REFUSALS as refusal:
            return refusal.code
        return None

    async def close_seats(self, place: Place, order: CloseSeats, call: Call) -> int | None:
        """Have what the participant's lower seats left closed; return below which seat nothing is left, None if that is not known."""
        step = f"CloseSeats:{order.participant_id}:{order.below}"
        nested = call.nested(step, epoch=place.epoch, budget=CLOSE)
        try:
            return (await self._ask_router(place, order, call, nested)).closed_below
        except KendraError:
            return None

    async def close_router(self, router: LeftBehind, call: Call) -> None:
        """Tell a server that a meeting's router is not wanted. If it does not hear, it finds out at a renewal of its lease."""
        nested = call.nested("CloseRouter", epoch=router.epoch, budget=ASK)
        try:
            await self._bus.ask(media_queue(router.server, router.boot), CloseRouter(), nested)
        except KendraError:
            return

    async def _ask_router(self, place: Place, order: Command[R], call: Call, nested: Call) -> R:
        if place.router is None or self._servers.dead(place):
            raise MediaServerUnavailable
        try:
            return await self._ask(place, order, nested)
        except DeadlineExceeded:
            if nested.deadline + _WORTH_TELLING > call.deadline:
                raise
            raise Silent from None

    async def _ask(self, place: Place, order: Command[R], nested: Call) -> R:
        if place.server is None or place.boot is None:
            raise MediaServerUnavailable
        return await self._bus.ask(media_queue(place.server, place.boot), order, nested)


def _nested(order: Command[R], place: Place, call: Call, actor: Actor) -> Call:
    return call.nested(type(order).__name__, epoch=place.epoch, actor=actor, budget=ASK)


def _as_seated(actor: Actor, seated: Seated) -> Actor:
    if actor.seat == seated.seat and actor.participant == seated.participant and actor.instance == seated.instance:
        return actor
    return actor.model_copy(
        update={"participant": seated.participant, "instance": seated.instance, "seat": seated.seat}
    )
