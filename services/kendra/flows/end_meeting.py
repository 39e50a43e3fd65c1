"""End meeting: one transaction ends it for everybody, then its router is told, if its server is there to hear it."""

from contracts.end_meeting import EndMeeting
from contracts.message import Done
from services.bus import Call
from services.kendra.world import World


async def end_meeting(_: EndMeeting, call: Call, world: World) -> Done:
    """End the meeting, also when its media server is dead."""
    left_behind = await world.store.meetings.end(call)
    world.events.start(call)
    if left_behind is not None:
        await world.media.close_router(left_behind, call)
    return Done()
