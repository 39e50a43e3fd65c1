"""A worker of a media server died with its routers: their meetings move, possibly to the same server, as those of a dead server do.

The notice comes again each second until the meetings have moved, so what fails or is cut off here is done by the next one.
"""

import asyncio
from contextlib import suppress

from contracts.failure import KendraError
from contracts.live import LostRouter, RoutersLost
from services.bus import Call
from services.kendra.flows.placing import live, moved
from services.kendra.world import World

_AT_ONCE = 16
_BUDGET = 4.0


async def routers_lost(notice: RoutersLost, _: Call, world: World) -> None:
    """Move every meeting whose router is among these."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(lost: LostRouter) -> None:
        async with slots:
            await _moved_from(lost, world)

    await asyncio.gather(*(one(lost) for lost in notice.routers))


async def _moved_from(lost: LostRouter, world: World) -> None:
    """Move a meeting if that router is still its own, and have the next one made; one that finds no room waits for a place."""
    call = Call.begin(lost.tenant, lost.meeting_id, _BUDGET)
    with suppress(KendraError):
        place = await world.store.resolving.found(call)
        if place is not None and place.epoch == lost.epoch and place.router in {None, lost.router_id}:
            await live(await moved(place, {}, call, world, lost=lost.router_id), call, world)
