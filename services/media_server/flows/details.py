"""Reading what flows: stats of one transport, producer or consumer of the caller's. Field names are mediasoup's."""

from contracts.details import GetConsumerStats, GetProducerStats, GetTransportStats, StatsRead
from services.bus import Call
from services.media_server.world import World


async def get_transport_stats(order: GetTransportStats, call: Call, world: World) -> StatsRead:
    room = world.registry.room(call)
    return StatsRead(stats=room.transport(room.seated(call.actor), order.transport_id).media.stats())


async def get_producer_stats(order: GetProducerStats, call: Call, world: World) -> StatsRead:
    room = world.registry.room(call)
    return StatsRead(stats=room.producer(room.seated(call.actor), order.producer_id).media.stats())


async def get_consumer_stats(order: GetConsumerStats, call: Call, world: World) -> StatsRead:
    room = world.registry.room(call)
    return StatsRead(stats=room.consumer(room.seated(call.actor), order.consumer_id).media.stats())
