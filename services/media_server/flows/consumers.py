"""Around a consumer: pause, resume, close, choose layers, ask for a key frame."""

from contracts.consumers import CloseConsumer, PauseConsumer, RequestKeyFrame, ResumeConsumer, SetPreferredLayers
from contracts.failure import InvalidState
from contracts.message import Done
from services.bus import Call
from services.media_server.world import World


async def pause_consumer(order: PauseConsumer, call: Call, world: World) -> Done:
    """Send nothing to it until it is resumed."""
    room = world.registry.room(call)
    consumer = room.consumer(room.seated(call.actor), order.consumer_id)
    async with world.recording(call, Done(), landed=consumer.media.pause) as record:
        await record.consumer_paused(consumer, True)
    return Done()


async def resume_consumer(order: ResumeConsumer, call: Call, world: World) -> Done:
    """Send again, from a key frame on."""
    room = world.registry.room(call)
    consumer = room.consumer(room.seated(call.actor), order.consumer_id)
    async with world.recording(call, Done(), landed=consumer.media.resume) as record:
        await record.consumer_paused(consumer, False)
    return Done()


async def close_consumer(order: CloseConsumer, call: Call, world: World) -> Done:
    """Stop receiving it for good."""
    room = world.registry.room(call)
    consumer = room.consumer(room.seated(call.actor), order.consumer_id)
    closing = room.hanging_from("closed", consumers=(consumer.id,))
    async with world.recording(call, Done(), landed=lambda: room.close(closing)) as record:
        await record.closed(closing)
    return Done()


async def set_preferred_layers(order: SetPreferredLayers, call: Call, world: World) -> Done:
    """Refuse: this plane forwards streams of one layer, and those have nothing to choose."""
    room = world.registry.room(call)
    consumer = room.consumer(room.seated(call.actor), order.consumer_id)
    raise InvalidState(f"a {consumer.media.type} stream has one layer")


async def request_key_frame(order: RequestKeyFrame, call: Call, world: World) -> Done:
    """Ask the sender for a key frame. Asking twice is throttled by the plane, so it is not recorded."""
    room = world.registry.room(call)
    room.consumer(room.seated(call.actor), order.consumer_id).media.request_key_frame()
    return Done()
