"""Recreate transport: a participant's old transports of one direction are destroyed with all that hangs from them, a new one is made."""

from pydantic import Field

from contracts.ids import ConsumerId, ProducerId, TransportId
from contracts.meeting import Direction
from contracts.message import Command, Reply
from contracts.rtp import DtlsParameters, IceCandidate, IceParameters, IceServer


class TransportRecreated(Reply):
    """The new transport, and what closed with the old ones."""

    id: TransportId
    ice_parameters: IceParameters
    ice_candidates: list[IceCandidate]
    dtls_parameters: DtlsParameters
    ice_servers: list[IceServer] = Field(default_factory=list)
    closed_producer_ids: list[ProducerId] = Field(default_factory=list)
    closed_consumer_ids: list[ConsumerId] = Field(default_factory=list)


class RecreateTransport(Command[TransportRecreated]):
    """Make the participant's transport of this direction anew; the first one is made by the same flow."""

    direction: Direction


class ReplaceTransports(RecreateTransport):
    """Kendra to media server: the same order with the transports that kendra read in the database; they go, and every other of that direction."""

    old: list[TransportId]
