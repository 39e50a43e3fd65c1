"""Recreate transport: the participant's old transports of one direction go, with all that hangs from them, a new one comes."""

from contracts.failure import StaleEpoch
from contracts.recreate_transport import RecreateTransport, ReplaceTransports, TransportRecreated
from services.bus import Call
from services.kendra.again import once_more_on
from services.kendra.world import World


@once_more_on(StaleEpoch)
async def recreate_transport(order: RecreateTransport, call: Call, world: World) -> TransportRecreated:
    """Ask with the ids that are known; the server takes every other of that direction with them."""
    seated, old = await world.store.resolving.seat_and_transports(call, order.direction)
    replace = ReplaceTransports(direction=order.direction, old=old)
    recreated = await world.media.ask(seated, replace, call)
    world.events.start(call)
    return recreated
