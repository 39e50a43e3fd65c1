"""Meetings: start, look into, end, explain."""

from uuid import UUID, uuid5

from fastapi import Response
from pydantic import Field

from contracts.create_meeting import CreateMeeting
from contracts.details import GetMeeting, GetPlacement, MeetingDetails, PlacementExplained
from contracts.end_meeting import EndMeeting
from contracts.failure import (
    MediaServerUnavailable,
    MeetingExists,
    MeetingNotFound,
    NoCapacity,
    PlacementNotFound,
    StaleInstance,
)
from contracts.ids import CommandId, Epoch, MediaServerId, MeetingId, RouterId
from contracts.meeting import Capacity, MeetingState
from contracts.message import Reply
from services.gateway import grants
from services.gateway.edge import CallerOf
from services.gateway.openapi import Bearer, Flows

routes = Flows("meetings")

MEETINGS = UUID("0b8c1d1a-52c4-5f27-9a3d-1f3f6a0a7c55")
"""The namespace of meeting ids that no client gave."""


class CapacityBody(Capacity, extra="forbid", validate_by_name=False):
    """What the meeting books; defaults are 16 participants and 32 producers."""


class CreateMeetingBody(CreateMeeting, extra="forbid", validate_by_name=False):
    """A meeting's settings; without `meetingId` the answer names a new one."""

    capacity: CapacityBody = Field(default_factory=CapacityBody)


class MeetingRuns(Reply):
    """The meeting runs."""

    meeting_id: MeetingId
    media_server_id: MediaServerId
    router_id: RouterId
    epoch: Epoch
    state: MeetingState


@routes.flow(
    "POST",
    "/meetings",
    by=Bearer.ACCESS,
    status=201,
    errors=(MeetingExists, MeetingNotFound, NoCapacity, MediaServerUnavailable),
    also={"200": {"description": "The meeting ran already, with the same settings.", "model": MeetingRuns}},
)
async def create_meeting(order: CreateMeetingBody, caller: CallerOf, response: Response) -> MeetingRuns:
    """Start a meeting, or find it running with the same settings. Grant `create`.

    A repeat with the same Idempotency-Key after the meeting ended starts nothing: `meeting_not_found`.
    """
    meeting = order.meeting_id or caller.identity.meeting or derived(caller.command_id)
    actor = grants.creator(caller.identity, meeting)
    created = await caller.ask(order.model_copy(update={"meeting_id": meeting}), actor, meeting)
    if created.repeated:
        response.status_code = 200
    return MeetingRuns.model_validate(created.model_dump())


@routes.flow("GET", "/meetings/{meeting}", by=Bearer.PARTICIPANT, errors=(MeetingNotFound, StaleInstance))
async def get_meeting(meeting: MeetingId, caller: CallerOf) -> MeetingDetails:
    """Return the meeting as one snapshot, with the caller's own objects. A participant of it, or grant `admin`."""
    return await caller.ask(GetMeeting(), grants.reader(caller.identity, meeting), meeting)


@routes.flow(
    "DELETE", "/meetings/{meeting}", by=Bearer.PARTICIPANT, status=204, errors=(MeetingNotFound, StaleInstance)
)
async def end_meeting(meeting: MeetingId, caller: CallerOf) -> None:
    """End the meeting for everybody, also when its media server is dead. Grant `admin`."""
    await caller.ask(EndMeeting(), grants.administrator(caller.identity, meeting), meeting)


@routes.flow(
    "GET",
    "/meetings/{meeting}/placement",
    by=Bearer.PARTICIPANT,
    errors=(PlacementNotFound, MeetingNotFound, StaleInstance),
)
async def get_placement(meeting: MeetingId, caller: CallerOf) -> PlacementExplained:
    """Return why the meeting lives where it lives. Grant `admin` or `operator`."""
    return await caller.ask(GetPlacement(), grants.explainer(caller.identity, meeting), meeting)


def derived(command: CommandId) -> MeetingId:
    """Return the id of a meeting that the client did not name: a repeat of the command finds the same."""
    return MeetingId(uuid5(MEETINGS, str(command)).hex)
