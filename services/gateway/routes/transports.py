"""Transports of a participant: made anew, connected, restarted, closed."""

from pydantic import JsonValue

from contracts.actor import Grant
from contracts.details import GetTransportStats
from contracts.failure import InvalidRtpParameters, InvalidState, TransportNotFound
from contracts.ids import MeetingId, ParticipantId, TransportId
from contracts.meeting import Direction
from contracts.message import Message
from contracts.recreate_transport import RecreateTransport, TransportRecreated
from contracts.rtp import DtlsParameters
from contracts.transports import CloseTransport, ConnectTransport, IceRestarted, RestartIce
from services.gateway import grants
from services.gateway.edge import CallerOf
from services.gateway.openapi import ALONG_A_SEAT, Bearer, Flows

routes = Flows("transports")

TRANSPORTS = "/meetings/{meeting}/participants/{participant}/transports"
TRANSPORT = TRANSPORTS + "/{transport}"
GRANT_OF = {Direction.SEND: Grant.PRODUCE, Direction.RECV: Grant.CONSUME}
EITHER = tuple(GRANT_OF.values())


class RecreateTransportBody(RecreateTransport, extra="forbid", validate_by_name=False):
    """The direction, seen from the client: `send` carries its producers, `recv` its consumers."""


class ConnectTransportBody(Message, extra="forbid", validate_by_name=False):
    """The client's DTLS parameters, as mediasoup-client gives them."""

    dtls_parameters: DtlsParameters


@routes.flow("POST", TRANSPORTS, by=Bearer.PARTICIPANT, status=201, errors=ALONG_A_SEAT)
async def recreate_transport(
    meeting: MeetingId, participant: ParticipantId, order: RecreateTransportBody, caller: CallerOf
) -> TransportRecreated:
    """Make the transport of a direction; older ones of that direction close. Grant `produce` to send, `consume` to receive."""
    actor = grants.member(caller.identity, meeting, participant, GRANT_OF[order.direction])
    return await caller.ask(order, actor, meeting)


@routes.flow(
    "POST",
    TRANSPORT + "/connect",
    by=Bearer.PARTICIPANT,
    status=204,
    errors=(*ALONG_A_SEAT, TransportNotFound, InvalidState, InvalidRtpParameters),
)
async def connect_transport(
    meeting: MeetingId,
    participant: ParticipantId,
    transport: TransportId,
    order: ConnectTransportBody,
    caller: CallerOf,
) -> None:
    """Begin the DTLS handshake; the same parameters again change nothing. Grant `produce` or `consume`."""
    actor = grants.member(caller.identity, meeting, participant, *EITHER)
    await caller.ask(ConnectTransport(transport_id=transport, dtls_parameters=order.dtls_parameters), actor, meeting)


@routes.flow(
    "POST", TRANSPORT + "/restart-ice", by=Bearer.PARTICIPANT, errors=(*ALONG_A_SEAT, TransportNotFound, InvalidState)
)
async def restart_ice(
    meeting: MeetingId, participant: ParticipantId, transport: TransportId, caller: CallerOf
) -> IceRestarted:
    """Give the transport new ICE credentials. Grant `produce` or `consume`."""
    actor = grants.member(caller.identity, meeting, participant, *EITHER)
    return await caller.ask(RestartIce(transport_id=transport), actor, meeting)


@routes.flow("DELETE", TRANSPORT, by=Bearer.PARTICIPANT, status=204, errors=(*ALONG_A_SEAT, TransportNotFound))
async def close_transport(
    meeting: MeetingId, participant: ParticipantId, transport: TransportId, caller: CallerOf
) -> None:
    """Close the transport with its producers and consumers. Grant `produce` or `consume`."""
    actor = grants.member(caller.identity, meeting, participant, *EITHER)
    await caller.ask(CloseTransport(transport_id=transport), actor, meeting)


@routes.flow("GET", TRANSPORT + "/stats", by=Bearer.PARTICIPANT, errors=(*ALONG_A_SEAT, TransportNotFound))
async def get_transport_stats(
    meeting: MeetingId, participant: ParticipantId, transport: TransportId, caller: CallerOf
) -> list[dict[str, JsonValue]]:
    """Return what flows through the transport, in mediasoup's field names. Grant `produce` or `consume`."""
    actor = grants.member(caller.identity, meeting, participant, *EITHER)
    return (await caller.ask(GetTransportStats(transport_id=transport), actor, meeting)).stats
