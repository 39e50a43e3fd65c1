"""Bringing a meeting to life: what create and join do until its router exists, or no media server is left."""

from contracts.failure import DeadlineExceeded, MediaServerUnavailable
from contracts.ids import MediaServerId, RouterId
from services.bus import Call
from services.kendra.metrics import MOVED
from services.kendra.place import Place
from services.kendra.world import World

_MOST_STEPS = 12
"""More changes than this under one command are somebody else's doing: let the caller try again."""

_WORTH_ASKING = 0.2
"""A server that got less time than this, seconds, has not refused."""


async def live(place: Place, call: Call, world: World) -> Place:
    """Return the meeting with its router, from a last read.

    A meeting whose server is dead is placed anew. A server that refuses or cannot be reached is passed over for the next best, as long
    as it has not made the router after all. Raises NoCapacity when none is left, DeadlineExceeded when there is no time for another.
    """
    refused: dict[MediaServerId, str] = {}
    for _ in range(_MOST_STEPS):
        if call.remaining() < _WORTH_ASKING:
            raise DeadlineExceeded
        if world.servers.dead(place):
            place = await moved(place, refused, call, world, bury=True)
        elif place.router is not None:
            return place
        else:
            refusal = await world.media.allocate(place, call)
            place = await settled(place, refusal, refused, call, world)
    raise MediaServerUnavailable


async def settled(
    place: Place, refusal: str | None, refused: dict[MediaServerId, str], call: Call, world: World
) -> Place:
    """Read what came of an ask, or move on when the server refused."""
    if refusal is None or place.server is None:
        return await world.store.resolving.place(call)
    refused[place.server] = refusal
    return await moved(place, refused, call, world)


async def moved(
    place: Place,
    refused: dict[MediaServerId, str],
    call: Call,
    world: World,
    *,
    bury: bool = False,
    lost: RouterId | None = None,
) -> Place:
    """Have the meeting wanted elsewhere, or unplaced and NoCapacity raised; its clients are told either way.

    A router keeps a meeting in place: the rows of a dead boot are cleared first (`bury`), one that died with its worker is `lost`.
    """
    if bury and place.server is not None and place.boot is not None:
        await world.store.servers.bury(place.server, place.boot)
    try:
        if await world.store.meetings.move(place, refused, lost=lost):
            MOVED.labels(
                "lost" if lost else "unplaced" if place.server is None else "dead" if bury else "refused"
            ).inc()
    finally:
        world.events.start(call)
    return await world.store.resolving.place(call)


async def left(place: Place, keep: float | None, call: Call, world: World) -> Place:
    """Have the meeting live elsewhere while its router goes on for `keep` seconds, None: not at all; return it with its new router.

    Raises NoCapacity when no other server has room; then nothing changed.
    """
    if await world.store.meetings.leave(place, keep):
        MOVED.labels("drained").inc()
        world.events.start(call)
    return await live(await world.store.resolving.place(call), call, world)
