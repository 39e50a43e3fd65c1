"""Media servers, for operators."""

from contracts.failure import MediaServerNotFound
from contracts.ids import MediaServerId
from contracts.message import Message
from contracts.servers import DEADLINE, Deadline, DrainServer, ListServers, ServersListed, UndrainServer
from services.gateway import grants
from services.gateway.edge import CallerOf
from services.gateway.openapi import Bearer, Flows

routes = Flows("servers")

DRAIN = "/servers/{server}/drain"


@routes.flow("GET", "/servers", by=Bearer.ACCESS)
async def list_servers(caller: CallerOf) -> ServersListed:
    """Return every media server whose lease is known, with its load. Grant `operator`."""
    return await caller.ask(ListServers(), grants.operator(caller.identity))


class DrainBody(Message, extra="forbid", validate_by_name=False):
    """How long emptying the server may take, a minute unless it is said."""

    deadline_seconds: Deadline = DEADLINE


@routes.flow("POST", DRAIN, by=Bearer.ACCESS, status=204, errors=(MediaServerNotFound,))
async def drain_server(server: MediaServerId, caller: CallerOf, order: DrainBody | None = None) -> None:
    """Place no new meeting on the server and move away those that it has, one by one. Grant `operator`.

    `GET /v1/servers` shows how far it is. Said again, the time begins anew.
    """
    within = (order or DrainBody()).deadline_seconds
    drain = DrainServer(media_server_id=server, deadline_seconds=within)
    await caller.ask(drain, grants.operator(caller.identity))


@routes.flow("DELETE", DRAIN, by=Bearer.ACCESS, status=204, errors=(MediaServerNotFound,))
async def undrain_server(server: MediaServerId, caller: CallerOf) -> None:
    """Place meetings on the server again; what was moved stays where it is. Grant `operator`."""
    await caller.ask(UndrainServer(media_server_id=server), grants.operator(caller.identity))
