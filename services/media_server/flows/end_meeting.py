"""End meeting, the media server's part: an allocation that is not wanted any more goes, without events."""

from contracts.end_meeting import CloseRouter
from contracts.message import Done
from services.bus import Call
from services.media_server.store import Allocated, meant
from services.media_server.world import World


async def close_router(_: CloseRouter, call: Call, world: World) -> Done:
    """Close the router of this epoch, or of an older one, and delete its rows."""
    await close_allocation(meant(call), world)
    return Done()


async def close_allocation(of: Allocated, world: World) -> None:
    """Close in memory first: its epoch is over, so nothing of it can be wanted back. Doing it twice changes nothing."""
    world.registry.close((of.tenant, of.meeting), below=of.epoch + 1)
    await world.store.forget(of)
