"""Negotiation, as pure functions: JSON objects in, new JSON objects out, random numbers from the caller.

The way of a track: a router offers `router_rtp_capabilities`; a producer's parameters are settled by `negotiate_producer`
(validation, `producer_rtp_mapping`, `agreed_rtp_parameters`, `consumable_rtp_parameters` in one step); a receiver that
`can_consume` gets `consumer_rtp_parameters`, another router `pipe_consumer_rtp_parameters`. Rules and error texts are
those of mediasoup, so that its client works unmodified; golden outputs of it are the tests.

Nothing given is ever changed; results share what they did not alter, so treat them as frozen.
"""

from sfu.ortc_consumer import can_consume, consumer_rtp_parameters, pipe_consumer_rtp_parameters
from sfu.ortc_producer import (
    NegotiatedProducer,
    RandomSsrc,
    agreed_rtp_parameters,
    consumable_rtp_parameters,
    negotiate_producer,
    producer_rtp_mapping,
)
from sfu.ortc_router import DEFAULT_CODECS, router_rtp_capabilities
from sfu.ortc_streams import ProducerType, check_streams, producer_type
from sfu.ortc_validation import (
    validate_rtp_capabilities,
    validate_rtp_parameters,
    validate_sctp_stream_parameters,
)
from sfu.scalability import ScalabilityMode, parse_scalability_mode

__all__ = [
    "DEFAULT_CODECS",
    "NegotiatedProducer",
    "ProducerType",
    "RandomSsrc",
    "ScalabilityMode",
    "agreed_rtp_parameters",
    "can_consume",
    "check_streams",
    "consumable_rtp_parameters",
    "consumer_rtp_parameters",
    "negotiate_producer",
    "parse_scalability_mode",
    "pipe_consumer_rtp_parameters",
    "producer_rtp_mapping",
    "producer_type",
    "router_rtp_capabilities",
    "validate_rtp_capabilities",
    "validate_rtp_parameters",
    "validate_sctp_stream_parameters",
]
