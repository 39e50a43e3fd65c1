"""Create consumer: a participant starts to receive a producer on the own receive transport."""

from contracts.ids import ConsumerId, ProducerId
from contracts.message import Command, Reply
from contracts.rtp import Kind, RtpCapabilities, RtpParameters


class ConsumerCreated(Reply):
    """The consumer exists; `rtp_parameters` are what the client will receive."""

    id: ConsumerId
    producer_id: ProducerId
    kind: Kind
    rtp_parameters: RtpParameters
    type: str
    producer_paused: bool


class CreateConsumer(Command[ConsumerCreated]):
    """Start to receive a producer; paused unless said otherwise, so that the client is ready for the first key frame."""

    producer_id: ProducerId
    rtp_capabilities: RtpCapabilities
    paused: bool = True
