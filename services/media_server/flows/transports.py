"""Around a transport: connect it, restart its ICE, close it."""

from contracts.message import Done
from contracts.transports import CloseTransport, ConnectTransport, IceRestarted, RestartIce
from services.bus import Call
from services.media_server.world import World


async def connect_transport(order: ConnectTransport, call: Call, world: World) -> Done:
    """Begin the DTLS handshake. The same parameters again change nothing, others are InvalidState."""
    room = world.registry.room(call)
    transport = room.transport(room.seated(call.actor), order.transport_id)
    await transport.media.connect(order.dtls_parameters)
    async with world.recording(call, Done()) as record:
        await record.connected(transport)
    return Done()


async def restart_ice(order: RestartIce, call: Call, world: World) -> IceRestarted:
    """Give the transport new ICE credentials; the old ones hold until the new are used, so an unwritten restart harms nobody."""
    room = world.registry.room(call)
    transport = room.transport(room.seated(call.actor), order.transport_id)
    restarted = IceRestarted(ice_parameters=transport.media.restart_ice())
    async with world.recording(call, restarted):
        return restarted


async def close_transport(order: CloseTransport, call: Call, world: World) -> Done:
    """Close the transport with all that hangs from it."""
    room = world.registry.room(call)
    transport = room.transport(room.seated(call.actor), order.transport_id)
    closing = room.hanging_from("closed", transports=(transport.id,))
    async with world.recording(call, Done(), landed=lambda: room.close(closing)) as record:
        await record.closed(closing)
    return Done()
