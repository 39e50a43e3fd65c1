"""Follow events: a client opens its event stream; kendra checks the seat, brings Redis up to date and names the stream."""

from pydantic import Field

from contracts.ids import Epoch
from contracts.message import Command, Reply


class EventsFollowed(Reply):
    """The Redis Stream of the meeting (without the deployment's prefix), and its newest event when asked."""

    stream: str
    head: int
    epoch: Epoch


class FollowEvents(Command[EventsFollowed]):
    """Where are the meeting's events? `last_event_id` is what the client has seen."""

    reads = True
    last_event_id: int | None = Field(default=None, ge=0)
