"""What a meeting looks like from outside: the views that join, details and events share."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

from contracts.ids import ConsumerId, ParticipantId, ProducerId, TransportId
from contracts.message import Message
from contracts.plain_json import NO_ZERO, at_most
from contracts.rtp import Kind

AppData = Annotated[dict[str, JsonValue], AfterValidator(at_most(values=256, characters=8192))]
"""What the application says of a producer; carried, never read. At most 256 values and 8,192 characters."""

DisplayName = Annotated[str, Field(max_length=256, pattern=NO_ZERO)]


class Capacity(Message):
    """What a meeting books: `participants` seats and at most `producers` producers at once."""

    participants: int = Field(default=16, ge=1, le=10_000)
    producers: int = Field(default=32, ge=1, le=10_000)

    @property
    def streams(self) -> int:
        """Streams that a media server must have room for."""
        return self.participants * self.producers


class MeetingState(StrEnum):
    """`unplaced`: no media server had room yet; `placed`: it runs; `ended`: over until it is created anew."""

    UNPLACED = "unplaced"
    PLACED = "placed"
    ENDED = "ended"


class Direction(StrEnum):
    """Seen from the client: `send` carries producers, `recv` carries consumers."""

    SEND = "send"
    RECV = "recv"


class ParticipantView(Message):
    """A seated participant. The instance is shown to nobody."""

    participant_id: ParticipantId
    display_name: DisplayName | None = None
    joined_at: datetime


class ProducerView(Message):
    """A track that somebody sends."""

    id: ProducerId
    participant_id: ParticipantId
    kind: Kind
    paused: bool
    app_data: AppData = Field(default_factory=dict)


class TransportView(Message):
    """One of the caller's own transports."""

    id: TransportId
    direction: Direction


class ConsumerView(Message):
    """One of the caller's own consumers."""

    id: ConsumerId
    producer_id: ProducerId
    kind: Kind
    paused: bool
