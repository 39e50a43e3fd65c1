"""Leave and kick: the seat is over first, then what hung from it closes."""

from contracts.failure import Forbidden
from contracts.join_meeting import CloseSeats
from contracts.leave_meeting import KickParticipant, LeaveMeeting
from contracts.message import Done
from services.bus import Call
from services.kendra.flows.closing import close_if_it_runs
from services.kendra.world import World


async def leave_meeting(_: LeaveMeeting, call: Call, world: World) -> Done:
    """Give up the caller's seat, for an admin the named participant's."""
    if call.actor.participant is None:
        raise Forbidden("say who leaves")
    seat = await world.store.seats.leave(call, call.actor.participant, call.actor.seat)
    world.events.start(call)
    over = CloseSeats(participant_id=call.actor.participant, below=seat + 1, reason="left")
    await close_if_it_runs(over, call, world)
    return Done()


async def kick_participant(order: KickParticipant, call: Call, world: World) -> Done:
    """Take the participant's seat, whichever instance holds it. A router that a drain left takes no orders, so it closes as a whole."""
    seat = await world.store.seats.kick(call, order.participant_id)
    world.events.start(call)
    await world.store.draining.keep_no_longer(call)
    over = CloseSeats(participant_id=order.participant_id, below=seat + 1, reason="kicked")
    await close_if_it_runs(over, call, world)
    return Done()
