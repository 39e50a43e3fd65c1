"""What this server has in memory, walked in the media library itself and not in our own lists."""

from contracts.live import ListLive, LiveListed, LiveRouter
from services.bus import Call
from services.media_server.room import Room
from services.media_server.world import World


async def list_live(_: ListLive, _call: Call, world: World) -> LiveListed:
    """List every router with its transports, producers and consumers."""
    routers = [_live(room) for room in world.registry.rooms.values()]
    return LiveListed(media_server_id=world.server, boot_id=world.boot, routers=routers)


def _live(room: Room) -> LiveRouter:
    transports = room.router.transports.values()
    return LiveRouter(
        tenant=room.tenant,
        meeting_id=room.meeting,
        epoch=room.epoch,
        router_id=room.router.id,
        transports=[transport.id for transport in transports],
        producers=list(room.router.producers),
        consumers=[consumer for transport in transports for consumer in transport.consumers],
    )
