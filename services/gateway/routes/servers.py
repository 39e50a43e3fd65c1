"""Media servers, for operators."""

from contracts.failure import MediaServerNotFound
from contracts.ids import MediaServerId
from contracts.servers import DrainServer, ListServers, ServersListed, UndrainServer
from services.gateway import grants
from services.gateway.edge import CallerOf
from services.gateway.openapi import Bearer, Flows

routes = Flows("servers")

DRAIN = "/servers/{server}/drain"


@routes.flow("GET", "/servers", by=Bearer.ACCESS)
async def list_servers(caller: CallerOf) -> ServersListed:
    """Return every media server whose lease is known, with its load. Grant `operator`."""
    return await caller.ask(ListServers(), grants.operator(caller.identity))


@routes.flow("POST", DRAIN, by=Bearer.ACCESS, status=204, errors=(MediaServerNotFound,))
async def drain_server(server: MediaServerId, caller: CallerOf) -> None:
    """Place no new meeting on the server. Grant `operator`."""
    await caller.ask(DrainServer(media_server_id=server), grants.operator(caller.identity))


@routes.flow("DELETE", DRAIN, by=Bearer.ACCESS, status=204, errors=(MediaServerNotFound,))
async def undrain_server(server: MediaServerId, caller: CallerOf) -> None:
    """Place meetings on the server again. Grant `operator`."""
    await caller.ask(UndrainServer(media_server_id=server), grants.operator(caller.identity))
