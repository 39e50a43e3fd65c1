"""Join: prove that the router lives, take the seat in one transaction, have what older seats left closed."""

from contracts.actor import Actor
from contracts.failure import Forbidden, MediaServerUnavailable, StaleEpoch
from contracts.join_meeting import CloseSeats, GetRouterCapabilities, JoinMeeting, MeetingJoined
from services.bus import Call
from services.kendra.again import once_more_on
from services.kendra.flows.closing import close_lower_seats
from services.kendra.flows.placing import live
from services.kendra.world import World


@once_more_on(StaleEpoch)
async def join_meeting(order: JoinMeeting, call: Call, world: World) -> MeetingJoined:
    """Seat the participant's instance; nothing is seated before the router's capabilities are known."""
    proven = is_proven(order, call.actor)
    place = await live(await world.store.resolving.place(call), call, world)
    if place.server is None:
        raise MediaServerUnavailable
    router = await world.media.ask_meeting(place, GetRouterCapabilities(), call)
    joined = await world.store.seats.join(order, call, place.epoch, proven=proven)
    world.events.start(call)
    if joined.close_below is not None:
        lower = CloseSeats(participant_id=order.participant_id, below=joined.close_below, reason="replaced")
        await close_lower_seats(lower, place, call, world)
    return MeetingJoined(
        participant_id=order.participant_id,
        instance_id=order.instance_id,
        seat=joined.seat,
        rtp_capabilities=router.rtp_capabilities,
        router_id=router.router_id,
        media_server_id=place.server,
        epoch=place.epoch,
        participants=joined.participants,
        producers=joined.producers,
        last_event_id=joined.head,
    )


def is_proven(order: JoinMeeting, actor: Actor) -> bool:
    """Say whether the caller proved to be the participant; who did not (an invitation) can take a free seat only."""
    if actor.participant is not None and actor.participant != order.participant_id:
        raise Forbidden("the token is another participant's")
    return actor.participant is not None
