"""Presence: gateways say in which seats somebody follows the events."""

from contracts.live import SeatsSeen
from services.bus import Call
from services.kendra.world import World


async def seats_seen(notice: SeatsSeen, _: Call, world: World) -> None:
    """Keep it."""
    if notice.seats:
        await world.store.seats.seen(notice.seats)
