"""Create producer: a track begins to arrive on the participant's send transport, and the meeting is told in the same transaction."""

from contracts.create_producer import CreateProducer, ProducerCreated
from contracts.events import ProducerCreatedEvent
from contracts.failure import InvalidState, ProducerLimit
from contracts.ids import ProducerId
from contracts.meeting import Direction
from services.bus import Call
from services.media_server.room import Closing, LiveProducer, Owner, Room, new_id
from services.media_server.told import Told
from services.media_server.world import World


async def create_producer(order: CreateProducer, call: Call, world: World) -> ProducerCreated:
    """Make the producer. Raises TransportNotFound, ProducerLimit, InvalidRtpParameters, UnsupportedCodec."""
    room = world.registry.room(call)
    producer = _produced(room, room.seated(call.actor), order)
    created = ProducerCreated(id=producer.id)
    async with world.recording(
        call, created, failed=lambda: room.close(Closing("closed", producers=(producer.id,)))
    ) as record:
        await record.producer(producer, order.app_data)
        await record.told(_told(producer, order))
    return created


def _produced(room: Room, owner: Owner, order: CreateProducer) -> LiveProducer:
    transport = room.transport(owner, order.transport_id)
    if transport.direction is not Direction.SEND:
        raise InvalidState("a producer needs the send transport")
    if len(room.producers) >= room.producer_limit:
        raise ProducerLimit
    media = transport.media.produce(ProducerId(new_id(room.epoch)), order.kind, order.rtp_parameters, order.paused)
    producer = LiveProducer(media, owner, transport.id)
    room.producers[producer.id] = producer
    return producer


def _told(producer: LiveProducer, order: CreateProducer) -> Told:
    return Told(
        ProducerCreatedEvent(
            producer_id=producer.id,
            participant_id=producer.owner.participant,
            kind=order.kind,
            paused=order.paused,
            app_data=order.app_data,
        )
    )
