"""Around a consumer: pause, resume, close, choose layers, ask for a key frame."""

from pydantic import Field

from contracts.ids import ConsumerId
from contracts.message import Command, Done


class PauseConsumer(Command[Done]):
    """Send nothing to this consumer until it is resumed."""

    consumer_id: ConsumerId


class ResumeConsumer(Command[Done]):
    """Send again, from a key frame on."""

    consumer_id: ConsumerId


class CloseConsumer(Command[Done]):
    """Stop receiving it for good."""

    consumer_id: ConsumerId


class SetPreferredLayers(Command[Done]):
    """Prefer these layers of a layered stream; a stream of one layer has nothing to choose (`invalid_state`)."""

    consumer_id: ConsumerId
    spatial_layer: int = Field(ge=0, le=7)
    temporal_layer: int | None = Field(default=None, ge=0, le=7)


class RequestKeyFrame(Command[Done]):
    """Ask the sender for a key frame (video only)."""

    consumer_id: ConsumerId
