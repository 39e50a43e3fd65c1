"""Create consumer: the participant's receive transport begins to carry a producer."""

from contracts.create_consumer import ConsumerCreated, CreateConsumer
from contracts.failure import ProducerNotFound, UnsupportedCodec
from contracts.ids import ConsumerId
from services.bus import Call
from services.media_server.room import Closing, LiveConsumer, Owner, Room, new_id
from services.media_server.world import World


async def create_consumer(order: CreateConsumer, call: Call, world: World) -> ConsumerCreated:
    """Make the consumer. Raises TransportNotFound, ProducerNotFound, UnsupportedCodec, InvalidRtpParameters."""
    room = world.registry.room(call)
    consumer = _consumed(room, room.seated(call.actor), order)
    created = _created(consumer)
    async with world.recording(
        call, created, failed=lambda: room.close(Closing("closed", consumers=(consumer.id,)))
    ) as record:
        await record.consumer(consumer)
    return created


def _consumed(room: Room, owner: Owner, order: CreateConsumer) -> LiveConsumer:
    transport = room.receive_transport(owner, order.producer_id)
    if order.producer_id not in room.producers:
        raise ProducerNotFound
    if not room.router.can_consume(order.producer_id, order.rtp_capabilities):
        raise UnsupportedCodec("the participant cannot receive what this producer sends")
    media = transport.media.consume(
        ConsumerId(new_id(room.epoch)), order.producer_id, order.rtp_capabilities, order.paused
    )
    consumer = LiveConsumer(media, owner, transport.id, order.producer_id)
    room.consumers[consumer.id] = consumer
    return consumer


def _created(consumer: LiveConsumer) -> ConsumerCreated:
    media = consumer.media
    return ConsumerCreated(
        id=consumer.id,
        producer_id=consumer.producer,
        kind=media.kind,
        rtp_parameters=media.rtp_parameters,
        type=media.type,
        producer_paused=media.producer_paused,
    )
