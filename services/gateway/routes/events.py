"""The events of a meeting, as a stream."""

import re
from typing import cast

from fastapi import Request
from pydantic import JsonValue

from contracts.actor import Actor
from contracts.events import EVENTS
from contracts.failure import Busy, InvalidRequest, MeetingNotFound, ParticipantNotFound, StaleInstance
from contracts.follow_events import FollowEvents
from contracts.ids import MeetingId, TenantId
from services.gateway import grants
from services.gateway.edge import CallerOf
from services.gateway.entries import live_channel
from services.gateway.events import Streams
from services.gateway.following import Follower, Viewer
from services.gateway.following_seats import Owner
from services.gateway.openapi import Bearer, Flows
from services.gateway.stream import EventStream, Place

routes = Flows("events")

_SEQUENCE = re.compile(r"\d{1,18}")
STREAM: dict[str, JsonValue] = {
    "200": {
        "description": "Server-sent events: `event` is one of "
        + ", ".join(f"`{name}`" for name in EVENTS)
        + ", or `gap` (events up to its id are missing: fetch the meeting); `id` is the event's sequence, `data` its body. "
        "It ends when the token expires, the seat or the meeting is over.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
LAST_EVENT_ID: JsonValue = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The last event the client has seen; without it only new ones are sent.",
    "schema": {"type": "string", "pattern": r"^\d{1,18}$"},
}


@routes.flow(
    "GET",
    "/meetings/{meeting}/events",
    by=Bearer.PARTICIPANT,
    errors=(MeetingNotFound, ParticipantNotFound, StaleInstance, Busy),
    also=STREAM,
    parameters=[LAST_EVENT_ID],
    response_class=EventStream,
)
async def follow_events(meeting: MeetingId, caller: CallerOf, request: Request) -> EventStream:
    """Follow the meeting's events from `Last-Event-ID` on. A participant of the meeting, or grant `admin`."""
    streams = cast(Streams, request.app.state.streams)
    streams.check_room()
    seen = _last_event_id(request)
    actor = grants.reader(caller.identity, meeting)
    followed = await caller.ask(FollowEvents(last_event_id=seen), actor, meeting)
    tenant, state = caller.identity.tenant, await streams.state(followed.stream)
    place = Place(followed.stream, live_channel(tenant, meeting), state, _owner(tenant, meeting, actor))
    follower = Follower(Viewer(actor.participant, actor.seat), seen=seen, head=followed.head)
    return EventStream(
        streams, place, follower, expires=caller.identity.expires, keep_alive=request.app.state.settings.keep_alive
    )


def _owner(tenant: TenantId, meeting: MeetingId, actor: Actor) -> Owner | None:
    if actor.participant is None or actor.seat is None:
        return None
    return tenant, meeting, actor.participant, actor.seat


def _last_event_id(request: Request) -> int | None:
    said = request.headers.get("last-event-id", "")
    if not said:
        return None
    if not _SEQUENCE.fullmatch(said):
        raise InvalidRequest("Last-Event-ID is not the id of an event.")
    return int(said)
