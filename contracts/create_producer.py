"""Create producer: a participant starts to send a track; the others hear of it as `ProducerCreated`."""

from pydantic import Field

from contracts.ids import ProducerId, TransportId
from contracts.meeting import AppData
from contracts.message import Command, Reply
from contracts.rtp import Kind, RtpParameters


class ProducerCreated(Reply):
    """The producer exists."""

    id: ProducerId


class CreateProducer(Command[ProducerCreated]):
    """Start to send a track on one's own send transport."""

    transport_id: TransportId
    kind: Kind
    rtp_parameters: RtpParameters
    paused: bool = False
    app_data: AppData = Field(default_factory=dict)
