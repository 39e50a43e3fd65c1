"""Producers: the tracks that participants send."""

from pydantic import JsonValue

from contracts.actor import Grant
from contracts.create_producer import CreateProducer, ProducerCreated
from contracts.details import GetProducerStats
from contracts.failure import (
    InvalidRtpParameters,
    InvalidState,
    MeetingNotFound,
    ProducerLimit,
    ProducerNotFound,
    StaleInstance,
    TransportNotFound,
    UnsupportedCodec,
)
from contracts.ids import MeetingId, ParticipantId, ProducerId
from contracts.producers import CloseProducer, ListProducers, PauseProducer, ProducersListed, ResumeProducer
from services.gateway import grants
from services.gateway.edge import CallerOf
from services.gateway.openapi import ALONG_A_SEAT, Bearer, Flows

routes = Flows("producers")

PRODUCERS = "/meetings/{meeting}/participants/{participant}/producers"
PRODUCER = PRODUCERS + "/{producer}"
AROUND = (*ALONG_A_SEAT, ProducerNotFound)


class CreateProducerBody(CreateProducer, extra="forbid", validate_by_name=False):
    """A track to send, as mediasoup-client's `produce` event gives it."""


@routes.flow(
    "POST",
    PRODUCERS,
    by=Bearer.PARTICIPANT,
    status=201,
    errors=(*ALONG_A_SEAT, TransportNotFound, InvalidState, ProducerLimit, InvalidRtpParameters, UnsupportedCodec),
)
async def create_producer(
    meeting: MeetingId, participant: ParticipantId, order: CreateProducerBody, caller: CallerOf
) -> ProducerCreated:
    """Start to send a track; the others hear of it as `ProducerCreated`. Grant `produce`."""
    actor = grants.member(caller.identity, meeting, participant, Grant.PRODUCE)
    return await caller.ask(order, actor, meeting)


@routes.flow("GET", "/meetings/{meeting}/producers", by=Bearer.PARTICIPANT, errors=(MeetingNotFound, StaleInstance))
async def list_producers(meeting: MeetingId, caller: CallerOf) -> ProducersListed:
    """Return all tracks that are sent. A participant of the meeting, or grant `admin`."""
    return await caller.ask(ListProducers(), grants.reader(caller.identity, meeting), meeting)


@routes.flow("POST", PRODUCER + "/pause", by=Bearer.PARTICIPANT, status=204, errors=AROUND)
async def pause_producer(
    meeting: MeetingId, participant: ParticipantId, producer: ProducerId, caller: CallerOf
) -> None:
    """Forward nothing of it until it is resumed. Grant `produce`."""
    actor = grants.member(caller.identity, meeting, participant, Grant.PRODUCE)
    await caller.ask(PauseProducer(producer_id=producer), actor, meeting)


@routes.flow("POST", PRODUCER + "/resume", by=Bearer.PARTICIPANT, status=204, errors=AROUND)
async def resume_producer(
    meeting: MeetingId, participant: ParticipantId, producer: ProducerId, caller: CallerOf
) -> None:
    """Forward it again. Grant `produce`."""
    actor = grants.member(caller.identity, meeting, participant, Grant.PRODUCE)
    await caller.ask(ResumeProducer(producer_id=producer), actor, meeting)


@routes.flow("DELETE", PRODUCER, by=Bearer.PARTICIPANT, status=204, errors=AROUND)
async def close_producer(
    meeting: MeetingId, participant: ParticipantId, producer: ProducerId, caller: CallerOf
) -> None:
    """Stop it for good, with every consumer of it. Grant `produce`."""
    actor = grants.member(caller.identity, meeting, participant, Grant.PRODUCE)
    await caller.ask(CloseProducer(producer_id=producer), actor, meeting)


@routes.flow("GET", PRODUCER + "/stats", by=Bearer.PARTICIPANT, errors=AROUND)
async def get_producer_stats(
    meeting: MeetingId, participant: ParticipantId, producer: ProducerId, caller: CallerOf
) -> list[dict[str, JsonValue]]:
    """Return what comes in of it, in mediasoup's field names. Grant `produce`."""
    actor = grants.member(caller.identity, meeting, participant, Grant.PRODUCE)
    return (await caller.ask(GetProducerStats(producer_id=producer), actor, meeting)).stats
