"""Reading a meeting, from the database alone: it works while its media server is away."""

from contracts.details import GetMeeting, GetPlacement, MeetingDetails, PlacementExplained
from contracts.producers import ListProducers, ProducersListed
from services.bus import Call
from services.kendra.world import World


async def get_meeting(_: GetMeeting, call: Call, world: World) -> MeetingDetails:
    """Return the meeting as one snapshot."""
    return await world.store.details.meeting(call)


async def list_producers(_: ListProducers, call: Call, world: World) -> ProducersListed:
    """Return what is sent in the meeting."""
    return ProducersListed(producers=await world.store.details.producers(call))


async def get_placement(_: GetPlacement, call: Call, world: World) -> PlacementExplained:
    """Return why the meeting lives where it lives, and where it lived, as long as that goes on."""
    details = world.store.details
    return PlacementExplained(
        meeting_id=call.meeting, decisions=await details.decisions(call), kept=await details.kept(call)
    )
