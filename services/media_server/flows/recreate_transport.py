"""Recreate transport: the participant's transports of one direction go, whichever seat they are of, and a new one is made."""

from contracts.ids import TransportId
from contracts.recreate_transport import ReplaceTransports, TransportRecreated
from services.bus import Call
from services.media_server.room import Closing, LiveTransport, Owner, Room, new_id
from services.media_server.world import World


async def replace_transports(order: ReplaceTransports, call: Call, world: World) -> TransportRecreated:
    """Destroy the given and every other transport of that participant and direction; make one."""
    room = world.registry.room(call)
    owner = room.seated(call.actor)
    closing = room.hanging_from("recreated", transports=_old(room, owner, order))
    transport = _new(room, owner, order)
    recreated = _recreated(transport, closing, world)
    world.closings.watch(room, transport)
    async with world.recording(
        call,
        recreated,
        landed=lambda: room.close(closing),
        failed=lambda: room.close(Closing("closed", transports=(transport.id,))),
    ) as record:
        await record.closed(closing)
        await record.transport(transport)
    return recreated


def _old(room: Room, owner: Owner, order: ReplaceTransports) -> tuple[TransportId, ...]:
    return tuple(
        transport.id
        for transport in room.transports.values()
        if transport.owner.participant == owner.participant
        and (transport.direction is order.direction or transport.id in order.old)
    )


def _new(room: Room, owner: Owner, order: ReplaceTransports) -> LiveTransport:
    media = room.router.create_webrtc_transport(TransportId(new_id(room.epoch)))
    transport = LiveTransport(media, owner, order.direction)
    room.transports[transport.id] = transport
    return transport


def _recreated(transport: LiveTransport, closing: Closing, world: World) -> TransportRecreated:
    return TransportRecreated(
        id=transport.id,
        ice_parameters=transport.media.ice_parameters,
        ice_candidates=transport.media.ice_candidates,
        dtls_parameters=transport.media.dtls_parameters,
        ice_servers=world.ice_servers,
        closed_producer_ids=list(closing.producers),
        closed_consumer_ids=list(closing.consumers),
    )
