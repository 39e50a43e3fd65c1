"""Closing what seats that are over left on the media server, and keeping that it confirmed it."""

from contracts.join_meeting import CloseSeats
from services.bus import Call
from services.kendra.place import Place
from services.kendra.world import World


async def close_lower_seats(order: CloseSeats, place: Place, call: Call, world: World) -> None:
    """Have everything of the participant below that seat closed; what is not confirmed in time, the sweep asks for again."""
    confirmed = await world.media.close_seats(place, order, call)
    if confirmed is not None:
        await world.store.seats.confirm_closed(call, order.participant_id, confirmed)
        world.events.start(call)


async def close_if_it_runs(order: CloseSeats, call: Call, world: World) -> None:
    """Do the same for a meeting that may have ended meanwhile."""
    place = await world.store.resolving.found(call)
    if place is not None:
        await close_lower_seats(order, place, call, world)
