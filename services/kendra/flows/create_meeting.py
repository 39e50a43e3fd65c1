"""Create meeting: pick a media server, book it, have it make the router; try the next best while one refuses."""

from contracts.create_meeting import CreateMeeting, MeetingCreated
from contracts.failure import InvalidRequest, MediaServerUnavailable
from contracts.meeting import MeetingState
from services.bus import Call
from services.kendra.flows.placing import live
from services.kendra.world import World


async def create_meeting(order: CreateMeeting, call: Call, world: World) -> MeetingCreated:
    """Start the meeting, or find it running with the same settings; answer from a last read, never from a server's reply."""
    if order.meeting_id not in {None, call.meeting}:
        raise InvalidRequest("the body names another meeting than the envelope")
    before = await world.store.meetings.create(call, order.capacity)
    world.events.start(call)
    place = await live(await world.store.resolving.place(call), call, world)
    if place.server is None or place.router is None:
        raise MediaServerUnavailable
    return MeetingCreated(
        meeting_id=call.meeting,
        media_server_id=place.server,
        router_id=place.router,
        epoch=place.epoch,
        state=MeetingState.PLACED,
        repeated=before,
    )
