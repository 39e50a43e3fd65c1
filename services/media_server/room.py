"""A room: a meeting's router at one epoch, with all that hangs from it, who owns what, and the fence of seats.

Seats only grow: a command of a lower seat than was seen is `stale_instance`. What belongs to another participant, or to an older
seat of the same one, is not found; what was made in an older epoch is `stale_epoch`: it went with its router, not by anybody's wish.
"""

from dataclasses import dataclass, field
from uuid import uuid4

from contracts.actor import Actor
from contracts.events import ClosedBecause
from contracts.failure import (
    ConsumerNotFound,
    InvalidRequest,
    KendraError,
    ProducerNotFound,
    StaleEpoch,
    StaleInstance,
    TransportNotFound,
)
from contracts.ids import (
    ConsumerId,
    Epoch,
    InstanceId,
    MeetingId,
    ParticipantId,
    ProducerId,
    Seat,
    TenantId,
    TransportId,
)
from contracts.join_meeting import RouterCapabilities
from contracts.meeting import Direction
from services.media_server.lines import Key
from sfu.consumer import Consumer
from sfu.producer import Producer
from sfu.router import Router
from sfu.transport import WebRtcTransport


def new_id(epoch: Epoch) -> str:
    """Return an id for something new; a repeat finds it in the stored reply. It ends with the epoch that it is of."""
    return f"{uuid4()}-{epoch}"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose something is."""

    participant: ParticipantId
    instance: InstanceId
    seat: Seat


@dataclass(frozen=True, slots=True, eq=False)
class LiveTransport:
    media: WebRtcTransport
    owner: Owner
    direction: Direction

    @property
    def id(self) -> TransportId:
        return self.media.id


@dataclass(frozen=True, slots=True, eq=False)
class LiveProducer:
    media: Producer
    owner: Owner
    transport: TransportId

    @property
    def id(self) -> ProducerId:
        return self.media.id


@dataclass(frozen=True, slots=True, eq=False)
class LiveConsumer:
    media: Consumer
    owner: Owner
    transport: TransportId
    producer: ProducerId

    @property
    def id(self) -> ConsumerId:
        return self.media.id


@dataclass(frozen=True, slots=True)
class Closing:
    """What closes together, named by id: the roots that somebody decided on and all that hangs from them."""

    because: ClosedBecause
    transports: tuple[TransportId, ...] = ()
    producers: tuple[ProducerId, ...] = ()
    consumers: tuple[ConsumerId, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.transports or self.producers or self.consumers)


@dataclass(frozen=True, slots=True)
class Allocated:
    """An allocation of this server, named."""

    tenant: TenantId
    meeting: MeetingId
    epoch: Epoch


@dataclass(slots=True, eq=False)
class Room:
    """A meeting's router at one epoch, and what hangs from it."""

    tenant: TenantId
    meeting: MeetingId
    epoch: Epoch
    router: Router
    producer_limit: int
    capabilities: RouterCapabilities
    booked: int
    """Streams that the meeting may come to have: participants × producers."""
    transports: dict[TransportId, LiveTransport] = field(default_factory=dict)
    producers: dict[ProducerId, LiveProducer] = field(default_factory=dict)
    consumers: dict[ConsumerId, LiveConsumer] = field(default_factory=dict)
    lowest_seat: dict[ParticipantId, Seat] = field(default_factory=dict)
    unwritten: list[Closing] = field(default_factory=list)
    leaving: bool = False
    """The meeting moved, and this router forwards until its clients are gone."""

    @property
    def key(self) -> Key:
        return (self.tenant, self.meeting)

    @property
    def of(self) -> Allocated:
        return Allocated(self.tenant, self.meeting, self.epoch)

    def seated(self, actor: Actor) -> Owner:
        """Return who asks. Raises StaleInstance for a lower seat than was seen, InvalidRequest when kendra did not say who."""
        if actor.participant is None or actor.instance is None or actor.seat is None:
            raise InvalidRequest("the envelope's actor needs participant, instance and seat")
        if actor.seat < self.lowest_seat.get(actor.participant, 0):
            raise StaleInstance
        self.lowest_seat[actor.participant] = actor.seat
        return Owner(actor.participant, actor.instance, actor.seat)

    def refuse_below(self, participant: ParticipantId, seat: Seat) -> None:
        """Accept nothing of the participant's lower seats any more, as long as the router lives."""
        self.lowest_seat[participant] = max(seat, self.lowest_seat.get(participant, seat))

    def transport(self, owner: Owner, id: TransportId) -> LiveTransport:
        """Return the owner's transport. Raises TransportNotFound, StaleEpoch."""
        found = self.transports.get(id)
        if found is None or found.owner != owner:
            raise self.lacks(id, TransportNotFound())
        return found

    def lacks(self, id: str, failure: KendraError) -> KendraError:
        """Return why an id is not found: its epoch is over, or this failure."""
        made_in = id.rpartition("-")[2]
        return StaleEpoch() if made_in.isdecimal() and int(made_in) < self.epoch else failure

    def receive_transport(self, owner: Owner, producer: ProducerId) -> LiveTransport:
        """Return the transport on which the owner can receive this producer. Raises TransportNotFound, StaleEpoch."""
        for transport in self.transports.values():
            if transport.owner == owner and transport.direction is Direction.RECV:
                return transport
        raise self.lacks(producer, TransportNotFound("the participant has no receive transport; recreate it"))

    def producer(self, owner: Owner, id: ProducerId) -> LiveProducer:
        """Return the owner's producer. Raises ProducerNotFound, StaleEpoch."""
        found = self.producers.get(id)
        if found is None or found.owner != owner:
            raise self.lacks(id, ProducerNotFound())
        return found

    def consumer(self, owner: Owner, id: ConsumerId) -> LiveConsumer:
        """Return the owner's consumer. Raises ConsumerNotFound, StaleEpoch."""
        found = self.consumers.get(id)
        if found is None or found.owner != owner:
            raise self.lacks(id, ConsumerNotFound())
        return found

    def hanging_from(
        self,
        because: ClosedBecause,
        *,
        transports: tuple[TransportId, ...] = (),
        producers: tuple[ProducerId, ...] = (),
        consumers: tuple[ConsumerId, ...] = (),
    ) -> Closing:
        """Return these with all that closes when they do, also from those that are not here themselves."""
        gone_producers = tuple(p.id for p in self.producers.values() if p.id in producers or p.transport in transports)
        gone_consumers = tuple(
            c.id
            for c in self.consumers.values()
            if c.id in consumers or c.transport in transports or c.producer in {*producers, *gone_producers}
        )
        return Closing(because, tuple(t for t in transports if t in self.transports), gone_producers, gone_consumers)

    def close(self, closing: Closing) -> None:
        """Close in memory. What is closed already stays so."""
        gone: list[Consumer | Producer | WebRtcTransport] = []
        gone += [self.consumers.pop(id).media for id in closing.consumers if id in self.consumers]
        gone += [self.producers.pop(id).media for id in closing.producers if id in self.producers]
        gone += [self.transports.pop(id).media for id in closing.transports if id in self.transports]
        for media in gone:
            if not media.closed:
                media.close()
