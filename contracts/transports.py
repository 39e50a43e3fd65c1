"""Around a transport: connect it, restart its ICE, close it."""

from contracts.ids import TransportId
from contracts.message import Command, Done, Reply
from contracts.rtp import DtlsParameters, IceParameters


class ConnectTransport(Command[Done]):
    """Begin the DTLS handshake with these fingerprints."""

    transport_id: TransportId
    dtls_parameters: DtlsParameters


class IceRestarted(Reply):
    """New ICE credentials; the old ones hold until the first check with the new."""

    ice_parameters: IceParameters


class RestartIce(Command[IceRestarted]):
    """Give the transport new ICE credentials."""

    transport_id: TransportId


class CloseTransport(Command[Done]):
    """Close the transport with its producers and consumers."""

    transport_id: TransportId
