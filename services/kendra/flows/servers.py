"""Media servers, for operators."""

from contracts.message import Done
from contracts.servers import DrainServer, ListServers, ServersListed, UndrainServer
from services.bus import Call
from services.kendra.world import World


async def list_servers(_: ListServers, __: Call, world: World) -> ServersListed:
    """Return every media server with its lease and load."""
    return ServersListed(servers=await world.store.servers.listed())


async def drain_server(order: DrainServer, _: Call, world: World) -> Done:
    """Place nothing more on this server; what is there stays."""
    await world.store.servers.drain(order.media_server_id, True)
    return Done()


async def undrain_server(order: UndrainServer, _: Call, world: World) -> Done:
    """Place meetings on this server again."""
    await world.store.servers.drain(order.media_server_id, False)
    return Done()
