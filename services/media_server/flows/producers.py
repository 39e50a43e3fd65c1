"""Around a producer: pause, resume, close. What was committed is then done in memory."""

from contracts.events import ProducerPausedEvent, ProducerResumedEvent
from contracts.message import Done
from contracts.producers import CloseProducer, PauseProducer, ResumeProducer
from services.bus import Call
from services.media_server.told import Told
from services.media_server.world import World


async def pause_producer(order: PauseProducer, call: Call, world: World) -> Done:
    """Forward nothing of it any more. One that is paused already is told of to nobody."""
    room = world.registry.room(call)
    producer = room.producer(room.seated(call.actor), order.producer_id)
    async with world.recording(call, Done(), landed=producer.media.pause) as record:
        if not producer.media.paused:
            await record.producer_paused(producer, True)
            event = ProducerPausedEvent(producer_id=producer.id, participant_id=producer.owner.participant)
            await record.told(Told(event))
    return Done()


async def resume_producer(order: ResumeProducer, call: Call, world: World) -> Done:
    """Forward it again, from a key frame on."""
    room = world.registry.room(call)
    producer = room.producer(room.seated(call.actor), order.producer_id)
    async with world.recording(call, Done(), landed=producer.media.resume) as record:
        if producer.media.paused:
            await record.producer_paused(producer, False)
            event = ProducerResumedEvent(producer_id=producer.id, participant_id=producer.owner.participant)
            await record.told(Told(event))
    return Done()


async def close_producer(order: CloseProducer, call: Call, world: World) -> Done:
    """Stop it for good, with every consumer of it."""
    room = world.registry.room(call)
    producer = room.producer(room.seated(call.actor), order.producer_id)
    closing = room.hanging_from("closed", producers=(producer.id,))
    async with world.recording(call, Done(), landed=lambda: room.close(closing)) as record:
        await record.closed(closing)
    return Done()
