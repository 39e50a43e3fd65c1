"""The seat of a packet plane: what control orders, what a plane tells, and nothing of packets besides.

Rules of the seat:

* A plane owns its sockets, everything that happens within a second (NACK, key frames, consent, reports), and no decision.
* Orders are carried out in the order given and never wait. Control made sure that they are legal: it names only objects
  that it opened and has not removed, and every random number comes with the order, so that the same orders and datagrams
  give the same packets.
* Events are calls on the event loop's thread, in the order in which things happened.
* Nothing but ICE checks is looked at from a 5-tuple that no authenticated check came from; no media passes, in or out,
  before `SecureTransport`. Whoever gives that order has verified the peer's fingerprint.

Orders that a plane with layers, scores or estimates adds (set layers, bandwidth) come with that plane.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from contracts.ids import ConsumerId, ProducerId, TransportId
from contracts.rtp import IceCandidate, Kind


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """What a transport's checks are addressed with and authenticated by (RFC 8839 §5.4)."""

    username_fragment: str
    password: str


@dataclass(frozen=True, slots=True)
class OpenTransport:
    """Answer ICE checks for this transport from now on."""

    transport: TransportId
    ice: IceCredentials


@dataclass(frozen=True, slots=True)
class RestartIce:
    """Answer checks with these credentials too; those in use end with the first check that uses newer ones (RFC 8445 §9)."""

    transport: TransportId
    ice: IceCredentials


@dataclass(frozen=True, slots=True)
class CloseTransport:
    """Forget the transport and its 5-tuples. Its producers and consumers were removed before."""

    transport: TransportId


@dataclass(frozen=True, slots=True)
class SecureTransport:
    """Use these SRTP keys: `profile` is OpenSSL's name, a key is master key followed by master salt (RFC 5764 §4.2)."""

    transport: TransportId
    profile: str
    receive_key: bytes = field(repr=False)
    send_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send a DTLS datagram to the selected 5-tuple; without one it is dropped, DTLS repeats it."""

    transport: TransportId
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Codec:
    """A payload type as the producer sends it, and what receivers know it as."""

    mime_type: str
    clock_rate: int
    payload_type: int
    mapped_payload_type: int
    rtx_payload_type: int | None = None


@dataclass(frozen=True, slots=True)
class AddProducer:
    """Take one stream in. Found by `ssrc`, else by `mid` in its header extension, latched then; `rid` is what the stream calls itself.

    `extensions` maps a header extension's URI to its id in this stream. The flags say which feedback the sender understands;
    `remb` that an estimate of ours is all that it has to go by: a plane that makes none leaves it out.
    """

    transport: TransportId
    producer: ProducerId
    kind: Kind
    codecs: tuple[Codec, ...]
    extensions: Mapping[str, int]
    ssrc: int | None
    rtx_ssrc: int | None
    mid: str | None
    nack: bool
    pli: bool
    fir: bool
    transport_cc: bool
    paused: bool
    rid: str | None = None
    remb: bool = False


@dataclass(frozen=True, slots=True)
class PauseProducer:
    producer: ProducerId


@dataclass(frozen=True, slots=True)
class ResumeProducer:
    """Forward again, from a key frame on, which is asked for."""

    producer: ProducerId


@dataclass(frozen=True, slots=True)
class RemoveProducer:
    """Forget the stream. Its consumers were removed before."""

    producer: ProducerId


@dataclass(frozen=True, slots=True)
class AddConsumer:
    """Send a producer's stream on this transport as `ssrc`, from a key frame on, starting with `first_sequence`.

    `payload_types` are the mapped ones that the receiver takes, each with its RTX payload type or None. `extensions` maps URIs
    to the receiver's ids; MID is written as `mid`. `cname` goes into the sender reports.
    """

    transport: TransportId
    consumer: ConsumerId
    producer: ProducerId
    ssrc: int
    rtx_ssrc: int | None
    payload_types: Mapping[int, int | None]
    extensions: Mapping[str, int]
    mid: str
    cname: str
    first_sequence: int
    first_rtx_sequence: int
    paused: bool


@dataclass(frozen=True, slots=True)
class PauseConsumer:
    consumer: ConsumerId


@dataclass(frozen=True, slots=True)
class ResumeConsumer:
    """Send again, sequence numbers going on without a hole, from a key frame on, which is asked for."""

    consumer: ConsumerId


@dataclass(frozen=True, slots=True)
class RemoveConsumer:
    consumer: ConsumerId


@dataclass(frozen=True, slots=True)
class RequestKeyFrame:
    """Ask the producer for a key frame; throttled, repeated until one comes."""

    producer: ProducerId


@dataclass(frozen=True, slots=True)
class Probe:
    """Send `size` bytes of padding (RTP in plain; 32 KiB at most) for the receiver to measure its path with; none where no media would go.

    It is the stream that mediasoup-client expects on a transport that receives video: SSRC 1234, payload type 127, MID "probator".
    `extensions` maps URIs to the receiver's ids: of MID, abs-send-time and the transport-wide number those it names are written.
    """

    transport: TransportId
    size: int
    extensions: Mapping[str, int]


TransportOrder = OpenTransport | RestartIce | CloseTransport | SecureTransport | SendDatagram | Probe
ProducerOrder = AddProducer | PauseProducer | ResumeProducer | RemoveProducer
ConsumerOrder = AddConsumer | PauseConsumer | ResumeConsumer | RemoveConsumer
Order = TransportOrder | ProducerOrder | ConsumerOrder | RequestKeyFrame


@dataclass(frozen=True, slots=True)
class IceSelected:
    """An authenticated check chose this remote address (ip, port). `nominated`: it carried USE-CANDIDATE."""

    transport: TransportId
    address: tuple[str, int]
    nominated: bool
    protocol: Literal["udp", "tcp"] = "udp"


@dataclass(frozen=True, slots=True)
class IceLost:
    """Neither a valid check nor authentic media came for the consent timeout (RFC 7675); nothing is sent any more."""

    transport: TransportId


@dataclass(frozen=True, slots=True)
class DatagramReceived:
    """A DTLS datagram from the transport's 5-tuples."""

    transport: TransportId
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """The first packet came, or the first after a silence."""

    producer: ProducerId


@dataclass(frozen=True, slots=True)
class StreamSilent:
    """Nothing came for 2 s, or the sender said goodbye (RTCP BYE)."""

    producer: ProducerId
    goodbye: bool


@dataclass(frozen=True, slots=True)
class PlaneDied:
    """The plane cannot go on; it takes orders and does nothing."""

    reason: BaseException


Event = IceSelected | IceLost | DatagramReceived | StreamStarted | StreamSilent | PlaneDied
Listener = Callable[[Event], None]


@dataclass(slots=True)
class TransportStats:
    """Counters since the transport was opened; bytes are of UDP payloads, `rtp` ones of RTP packets without RTX."""

    bytes_received: int = 0
    bytes_sent: int = 0
    rtp_bytes_received: int = 0
    rtp_bytes_sent: int = 0
    rtx_bytes_received: int = 0
    rtx_bytes_sent: int = 0
    packets_discarded: int = 0


@dataclass(slots=True)
class StreamStats:
    """Counters of one RTP stream, received or sent. Names as mediasoup's; `jitter` in ticks, `round_trip_time` in ms.

    `score` is 0 (nothing arrives) to 10 (all of it), None where the plane does not judge.
    """

    ssrc: int = 0
    rtx_ssrc: int | None = None
    mime_type: str = ""
    packet_count: int = 0
    byte_count: int = 0
    bitrate: int = 0
    packets_lost: int = 0
    fraction_lost: int = 0
    jitter: int = 0
    packets_discarded: int = 0
    packets_retransmitted: int = 0
    packets_repaired: int = 0
    nack_count: int = 0
    nack_packet_count: int = 0
    pli_count: int = 0
    fir_count: int = 0
    round_trip_time: float = 0.0
    score: int | None = None


@dataclass(slots=True)
class PlaneStats:
    """What the whole plane does: totals since its start, rates over the last second.

    `cpu` is the processor time of its own thread in seconds, at most a second ago; None where it has no thread of its own.
    """

    packets_received: int = 0
    packets_sent: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    packets_per_second: int = 0
    bytes_sent_per_second: int = 0
    discarded: int = 0
    failures: int = 0
    cpu: float | None = None


class PacketPlane(Protocol):
    """A plane as control sees it. Made on the event loop that its events are wanted on."""

    @property
    def reachable(self) -> bool:
        """Whether a peer can ever come; where none can, control waits for none."""

    @property
    def port(self) -> int:
        """The UDP port that receives."""

    def candidates(self) -> list[IceCandidate]:
        """Return where peers can send to."""

    def order(self, order: Order) -> None:
        """Carry out an order; never waits, never raises for a packet's sake."""

    def transport_stats(self, transport: TransportId) -> TransportStats:
        """Return a transport's counters."""

    def producer_stats(self, producer: ProducerId) -> StreamStats:
        """Return the counters of a producer's stream."""

    def consumer_stats(self, consumer: ConsumerId) -> StreamStats:
        """Return the counters of a consumer's stream."""

    def stats(self) -> PlaneStats:
        """Return the counters of the plane."""

    def turns(self) -> int | None:
        """Return how often the plane's own loop has turned, and make it turn once more; None where it has none of its own.

        Who asks twice and gets the same number, with time between, has found a plane that stands still.
        """

    def close(self) -> None:
        """Close the sockets; no event comes after, and the port is free. A loop that stands still is not waited for: it is left behind."""
