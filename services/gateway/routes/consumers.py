"""Consumers: the tracks that a participant receives."""

from pydantic import Field, JsonValue

from contracts.actor import Grant
from contracts.consumers import CloseConsumer, PauseConsumer, RequestKeyFrame, ResumeConsumer, SetPreferredLayers
from contracts.create_consumer import ConsumerCreated, CreateConsumer
from contracts.details import GetConsumerStats
from contracts.failure import (
    ConsumerNotFound,
    InvalidRtpParameters,
    InvalidState,
    ProducerNotFound,
    TransportNotFound,
    UnsupportedCodec,
)
from contracts.ids import ConsumerId, MeetingId, ParticipantId
from contracts.message import Message
from services.gateway import grants
from services.gateway.edge import CallerOf
from services.gateway.openapi import ALONG_A_SEAT, Bearer, Flows

routes = Flows("consumers")

CONSUMERS = "/meetings/{meeting}/participants/{participant}/consumers"
CONSUMER = CONSUMERS + "/{consumer}"
AROUND = (*ALONG_A_SEAT, ConsumerNotFound)
VIDEO = (*AROUND, InvalidState)


class CreateConsumerBody(CreateConsumer, extra="forbid", validate_by_name=False):
    """What to receive, and what the client's device can (`recvRtpCapabilities`)."""


class LayersBody(Message, extra="forbid", validate_by_name=False):
    """The highest layers wanted of a layered stream."""

    spatial_layer: int = Field(ge=0, le=7)
    temporal_layer: int | None = Field(default=None, ge=0, le=7)


@routes.flow(
    "POST",
    CONSUMERS,
    by=Bearer.PARTICIPANT,
    status=201,
    errors=(*ALONG_A_SEAT, TransportNotFound, ProducerNotFound, InvalidState, InvalidRtpParameters, UnsupportedCodec),
)
async def create_consumer(
    meeting: MeetingId, participant: ParticipantId, order: CreateConsumerBody, caller: CallerOf
) -> ConsumerCreated:
    """Start to receive a producer on the own receive transport, paused unless said otherwise. Grant `consume`."""
    return await caller.ask(order, grants.member(caller.identity, meeting, participant, Grant.CONSUME), meeting)


@routes.flow("POST", CONSUMER + "/pause", by=Bearer.PARTICIPANT, status=204, errors=AROUND)
async def pause_consumer(
    meeting: MeetingId, participant: ParticipantId, consumer: ConsumerId, caller: CallerOf
) -> None:
    """Receive nothing of it until it is resumed. Grant `consume`."""
    actor = grants.member(caller.identity, meeting, participant, Grant.CONSUME)
    await caller.ask(PauseConsumer(consumer_id=consumer), actor, meeting)


@routes.flow("POST", CONSUMER + "/resume", by=Bearer.PARTICIPANT, status=204, errors=AROUND)
async def resume_consumer(
    meeting: MeetingId, participant: ParticipantId, consumer: ConsumerId, caller: CallerOf
) -> None:
    """Receive it again, from a key frame on. Grant `consume`."""
    actor = grants.member(caller.identity, meeting, participant, Grant.CONSUME)
    await caller.ask(ResumeConsumer(consumer_id=consumer), actor, meeting)


@routes.flow("POST", CONSUMER + "/layers", by=Bearer.PARTICIPANT, status=204, errors=VIDEO)
async def set_preferred_layers(
    meeting: MeetingId, participant: ParticipantId, consumer: ConsumerId, order: LayersBody, caller: CallerOf
) -> None:
    """Prefer these layers of a layered stream. Grant `consume`."""
    actor = grants.member(caller.identity, meeting, participant, Grant.CONSUME)
    wanted = SetPreferredLayers(
        consumer_id=consumer, spatial_layer=order.spatial_layer, temporal_layer=order.temporal_layer
    )
    await caller.ask(wanted, actor, meeting)


@routes.flow("POST", CONSUMER + "/keyframe", by=Bearer.PARTICIPANT, status=204, errors=VIDEO)
async def request_key_frame(
    meeting: MeetingId, participant: ParticipantId, consumer: ConsumerId, caller: CallerOf
) -> None:
    """Ask the sender for a key frame. Grant `consume`."""
    actor = grants.member(caller.identity, meeting, participant, Grant.CONSUME)
    await caller.ask(RequestKeyFrame(consumer_id=consumer), actor, meeting)


@routes.flow("DELETE", CONSUMER, by=Bearer.PARTICIPANT, status=204, errors=AROUND)
async def close_consumer(
    meeting: MeetingId, participant: ParticipantId, consumer: ConsumerId, caller: CallerOf
) -> None:
    """Stop receiving it for good. Grant `consume`."""
    actor = grants.member(caller.identity, meeting, participant, Grant.CONSUME)
    await caller.ask(CloseConsumer(consumer_id=consumer), actor, meeting)


@routes.flow("GET", CONSUMER + "/stats", by=Bearer.PARTICIPANT, errors=AROUND)
async def get_consumer_stats(
    meeting: MeetingId, participant: ParticipantId, consumer: ConsumerId, caller: CallerOf
) -> list[dict[str, JsonValue]]:
    """Return what goes out to it, in mediasoup's field names. Grant `consume`."""
    actor = grants.member(caller.identity, meeting, participant, Grant.CONSUME)
    return (await caller.ask(GetConsumerStats(consumer_id=consumer), actor, meeting)).stats
