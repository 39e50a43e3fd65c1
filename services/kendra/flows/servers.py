"""Media servers, for operators. What a drain demands is done by the rounds of every kendra (`draining.py`)."""

from contracts.message import Done
from contracts.servers import DrainServer, ListServers, ServersListed, UndrainServer
from services.bus import Call
from services.kendra.world import World


async def list_servers(_: ListServers, __: Call, world: World) -> ServersListed:
    """Return every media server with its lease and load, and how far it is drained."""
    return ServersListed(servers=await world.store.servers.listed())


async def drain_server(order: DrainServer, _: Call, world: World) -> Done:
    """Place nothing more on this server, and have its meetings moved away in time; said again, the time begins anew."""
    await world.store.servers.sync()
    await world.store.draining.drain(order.media_server_id, order.deadline_seconds)
    return Done()


async def undrain_server(order: UndrainServer, _: Call, world: World) -> Done:
    """Place meetings on this server again; what was moved stays where it is."""
    await world.store.servers.sync()
    await world.store.draining.undrain(order.media_server_id)
    return Done()
