"""Join, the media server's part: what the router can carry, and older seats that must be closed."""

from contracts.ids import Seat, TransportId
from contracts.join_meeting import CloseSeats, GetRouterCapabilities, RouterCapabilities, SeatsClosed
from services.bus import Call
from services.media_server.room import Room
from services.media_server.world import World


async def get_router_capabilities(_: GetRouterCapabilities, call: Call, world: World) -> RouterCapabilities:
    """Answer what the router can carry: it lives here, at this epoch."""
    return world.registry.room(call).capabilities


async def close_seats(order: CloseSeats, call: Call, world: World) -> SeatsClosed:
    """Close what the participant's lower seats have, and refuse them from now on."""
    room = world.registry.room(call)
    room.refuse_below(order.participant_id, Seat(order.below))
    closed = SeatsClosed(closed_below=order.below)
    closing = room.hanging_from(order.reason, transports=_of_lower_seats(room, order))
    if not closing:
        return closed
    async with world.recording(call, closed, landed=lambda: room.close(closing)) as record:
        await record.closed(closing)
    return closed


def _of_lower_seats(room: Room, order: CloseSeats) -> tuple[TransportId, ...]:
    return tuple(
        transport.id
        for transport in room.transports.values()
        if transport.owner.participant == order.participant_id and transport.owner.seat < order.below
    )
