"""Join, leave and kick: who sits in a meeting."""

from contracts.failure import (
    MediaServerUnavailable,
    MeetingFull,
    MeetingNotFound,
    NoCapacity,
    ParticipantNotFound,
    StaleEpoch,
    StaleInstance,
    Unauthenticated,
)
from contracts.ids import Epoch, MeetingId, ParticipantId, RouterId
from contracts.join_meeting import JoinMeeting, MeetingJoined
from contracts.leave_meeting import KickParticipant, LeaveMeeting
from contracts.meeting import ParticipantView, ProducerView
from contracts.message import Reply
from contracts.rtp import RtpCapabilities
from services.gateway import grants
from services.gateway.edge import Caller, CallerOf
from services.gateway.openapi import Bearer, Flows

routes = Flows("participants")


class JoinMeetingBody(JoinMeeting, extra="forbid", validate_by_name=False):
    """Who joins; `instanceId` is new for each page, device or start of the client, and secret."""


class Joined(Reply):
    """The seat and its token; events up to and including `lastEventId` are contained in the lists."""

    participant_token: str
    rtp_capabilities: RtpCapabilities
    router_id: RouterId
    epoch: Epoch
    participants: list[ParticipantView]
    producers: list[ProducerView]
    last_event_id: int

    @classmethod
    def of(cls, joined: MeetingJoined, token: str) -> "Joined":
        """Return kendra's answer with the token in place of the instance and the seat."""
        return cls(
            participant_token=token,
            rtp_capabilities=joined.rtp_capabilities,
            router_id=joined.router_id,
            epoch=joined.epoch,
            participants=joined.participants,
            producers=joined.producers,
            last_event_id=joined.last_event_id,
        )


@routes.flow(
    "POST",
    "/meetings/{meeting}/join",
    by=Bearer.PARTICIPANT,
    errors=(MeetingNotFound, MeetingFull, StaleInstance, StaleEpoch, MediaServerUnavailable, NoCapacity),
)
async def join_meeting(meeting: MeetingId, order: JoinMeetingBody, caller: CallerOf) -> Joined:
    """Take a seat. Grant `join`, or a participant token: the same instance keeps its seat and gets a new token, another replaces it."""
    actor = grants.joiner(caller.identity, meeting, order.participant_id)
    await _may_renew(caller)
    joined = await caller.ask(order, actor, meeting)
    token = caller.tokens.sign(caller.identity, meeting, joined.participant_id, joined.instance_id, joined.seat)
    return Joined.of(joined, token)


@routes.flow(
    "POST",
    "/meetings/{meeting}/leave",
    by=Bearer.PARTICIPANT,
    status=204,
    errors=(MeetingNotFound, ParticipantNotFound, StaleInstance),
)
async def leave_meeting(meeting: MeetingId, caller: CallerOf) -> None:
    """Give up the own seat. A participant token, or grant `admin` with a token that names the participant."""
    await caller.ask(LeaveMeeting(), grants.leaver(caller.identity, meeting), meeting)


@routes.flow(
    "DELETE",
    "/meetings/{meeting}/participants/{participant}",
    by=Bearer.PARTICIPANT,
    status=204,
    errors=(MeetingNotFound, ParticipantNotFound, StaleInstance),
)
async def kick_participant(meeting: MeetingId, participant: ParticipantId, caller: CallerOf) -> None:
    """Take a participant's seat, whichever instance holds it. Grant `admin`."""
    actor = grants.administrator(caller.identity, meeting)
    await caller.ask(KickParticipant(participant_id=participant), actor, meeting)


async def _may_renew(caller: Caller) -> None:
    """A participant token is renewed only while the key that let the participant in stands."""
    if caller.identity.seated and not await caller.tokens.may_renew(caller.identity):
        raise Unauthenticated
