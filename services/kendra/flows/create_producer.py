"""Create producer: the participant's media server makes it, then the meeting hears of it."""

from contracts.create_producer import CreateProducer, ProducerCreated
from services.bus import Call
from services.kendra.world import World


async def create_producer(order: CreateProducer, call: Call, world: World) -> ProducerCreated:
    """Have the producer made; the others' event is on its way when the creator is answered, if Redis takes it within 100 ms."""
    seated = await world.store.resolving.seat(call)
    created = await world.media.ask(seated, order, call)
    await world.events.relay(call)
    return created
