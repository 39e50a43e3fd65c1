"""Create consumer: the participant's media server makes it on the receive transport."""

from contracts.create_consumer import ConsumerCreated, CreateConsumer
from services.bus import Call
from services.kendra.world import World


async def create_consumer(order: CreateConsumer, call: Call, world: World) -> ConsumerCreated:
    """Have the consumer made."""
    seated = await world.store.resolving.seat(call)
    return await world.media.ask(seated, order, call)
