"""Around a producer: pause, resume, close, list."""

from contracts.ids import ProducerId
from contracts.meeting import ProducerView
from contracts.message import Command, Done, Reply


class PauseProducer(Command[Done]):
    """Forward nothing of it until it is resumed."""

    producer_id: ProducerId


class ResumeProducer(Command[Done]):
    """Forward it again, from a key frame on."""

    producer_id: ProducerId


class CloseProducer(Command[Done]):
    """Stop it for good, with every consumer of it."""

    producer_id: ProducerId


class ProducersListed(Reply):
    """All producers of the meeting."""

    producers: list[ProducerView]


class ListProducers(Command[ProducersListed]):
    """Which tracks are sent in the meeting?"""

    reads = True
