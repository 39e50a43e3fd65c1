"""A plane without sockets and clocks, and clients of it: what a client sends goes straight in, what comes out is decrypted and kept."""

from collections.abc import Iterable
from typing import ClassVar

from aioice.stun import Class, Message, Method, parse_message

from contracts.ids import ConsumerId, ProducerId, TransportId
from contracts.rtp import Kind
from sfu.packets import rtcp, rtp
from sfu.packets.srtp import Srtp
from sfu.plane import seat
from sfu.plane.reference.core import Core
from tests.pure.cores import CORES, Address

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
ORIENTATION = "urn:3gpp:video-orientation"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
PROFILE = "SRTP_AEAD_AES_128_GCM"
KEY_FRAME, DELTA_FRAME = b"\x10\x00", b"\x10\x01"
"""First bytes of VP8 payloads: a descriptor with S, then the frame's first byte."""
VP8 = seat.Codec("video/VP8", 90000, payload_type=96, mapped_payload_type=101, rtx_payload_type=97)
OPUS = seat.Codec("audio/opus", 48000, payload_type=111, mapped_payload_type=100)


class VirtualPlane:
    """A core, its time, its events and its clients by address. `usual` is the core where none is named."""

    usual: ClassVar[str] = "reference"

    def __init__(self, consent_timeout: float = 30.0, core: str | None = None) -> None:
        self.now = 100.0
        self.events: list[seat.Event] = []
        self.clients: dict[Address, Client] = {}
        self.runs = core or self.usual
        self.plane = CORES[self.runs](self._sent, self.events.append, consent_timeout)
        self.transport_stats, self.stats = self.plane.transport_stats, self.plane.stats
        self.producer_stats, self.consumer_stats = self.plane.producer_stats, self.plane.consumer_stats

    @property
    def core(self) -> Core:
        """The reference's core, for what only it shows."""
        assert self.runs == "reference"
        return self.plane.core

    def _sent(self, data: bytes, address: Address) -> None:
        self.clients[address].receive(data)

    def order(self, order: seat.Order) -> None:
        self.plane.order(order, self.now)

    def datagram(self, data: bytes, address: Address) -> None:
        """Let a datagram come from an address."""
        self.plane.datagram(data, address, self.now)

    def after(self, seconds: float, step: float = 0.02) -> None:
        """Let time pass, ticking."""
        for _ in range(round(seconds / step)):
            self.now += step
            self.plane.due(self.now)

    def selected(self, transport: TransportId) -> Address | None:
        """Return where the transport sends to, as it was told."""
        told = [each for each in self.events if isinstance(each, seat.IceSelected | seat.IceLost)]
        last = next((each for each in reversed(told) if each.transport == transport), None)
        return last.address if isinstance(last, seat.IceSelected) else None

    def client(self, name: str, secured: bool = True) -> "Client":
        """Open a transport and return its client, after its first check and with keys unless told otherwise."""
        client = Client(self, name, ("10.0.0.1", 1000 + len(self.clients)))
        if secured:
            client.check(nominate=True)
            client.secure()
        return client


class Client:
    """The other end of a transport."""

    def __init__(self, plane: VirtualPlane, name: str, address: tuple[str, int]) -> None:
        self.plane, self.name, self.address = plane, TransportId(name), address
        self.ice = seat.IceCredentials(f"fragment-{name}", f"password-of-{name}-0123456789")
        self.answers: list[Message] = []
        self.packets: list[rtp.RtpPacket] = []
        self.raw: list[bytes] = []
        self.rtcp: list[rtcp.Rtcp] = []
        self.compounds: list[bytes] = []
        self.dtls: list[bytes] = []
        self.reported_at = 0.0
        """When the last sender report came."""
        self._srtp: Srtp | None = None
        plane.clients[address] = self
        plane.order(seat.OpenTransport(self.name, self.ice))

    def secure(self) -> None:
        """Give both ends their keys."""
        ours, theirs = self.name.encode().ljust(28, b"o"), self.name.encode().ljust(28, b"t")
        self._srtp = Srtp(seat.SecureTransport(self.name, PROFILE, theirs, ours), streams=())
        self.plane.order(seat.SecureTransport(self.name, PROFILE, ours, theirs))

    def moved(self, port: int) -> None:
        """Send from another port from now on."""
        self.address = (self.address[0], port)
        self.plane.clients[self.address] = self

    def receive(self, data: bytes) -> None:
        if data[0] < 4:
            self.answers.append(parse_message(data))
        elif data[0] < 64:
            self.dtls.append(data)
        else:
            assert self._srtp is not None
            is_rtcp = 192 <= data[1] <= 223
            plain = self._srtp.open(data, is_rtcp)
            assert plain is not None, "what the plane sends is authentic and never replayed, unless asked for"
            if is_rtcp:
                self.compounds.append(plain)
                self.reported_at = self.plane.now if plain[1] == 200 else self.reported_at
                self.rtcp.extend(rtcp.parse(plain))
            else:
                packet = rtp.parse(plain)
                assert packet is not None
                self.packets.append(packet)
                self.raw.append(plain)

    def send(self, data: bytes) -> None:
        self.plane.datagram(data, self.address)

    def check(
        self, nominate: bool = False, ice: seat.IceCredentials | None = None, **attributes: object
    ) -> list[Message]:
        """Send an ICE check; return what came back."""
        ice = ice or self.ice
        check = Message(Method.BINDING, Class.REQUEST, attributes={"USERNAME": f"{ice.username_fragment}:theirs"})
        check.attributes |= {"PRIORITY": 1853693695, "ICE-CONTROLLING": 7} | attributes
        if nominate:
            check.attributes["USE-CANDIDATE"] = None
        check.add_message_integrity(ice.password.encode())
        before = len(self.answers)
        self.send(bytes(check))
        return self.answers[before:]

    def produce(self, name: str, codec: seat.Codec = VP8, **changes: object) -> ProducerId:
        """Add a producer of ours: ssrc 1111, retransmissions 2222, MID 4, orientation 13, transport-cc 3."""
        video = codec.mime_type.startswith("video")
        order = {
            "transport": self.name, "producer": ProducerId(name), "kind": Kind.VIDEO if video else Kind.AUDIO,
            "codecs": (codec,), "extensions": {MID: 4, ORIENTATION: 13, TRANSPORT_CC: 3},
            "ssrc": 1111, "rtx_ssrc": 2222 if video else None, "mid": "0",
            "nack": True, "pli": video, "fir": video, "transport_cc": True, "paused": False,
        }  # fmt: skip
        self.plane.order(seat.AddProducer(**(order | changes)))
        return ProducerId(name)

    def consume(self, name: str, producer: ProducerId, **changes: object) -> ConsumerId:
        """Add a consumer of ours: ssrc 5000, retransmissions 5001 with payload type 102, MID 1, orientation 8."""
        order = {
            "transport": self.name, "consumer": ConsumerId(name), "producer": producer,
            "ssrc": 5000, "rtx_ssrc": 5001, "payload_types": {101: 102, 100: None},
            "extensions": {MID: 1, ORIENTATION: 8}, "mid": "7", "cname": "someone",
            "first_sequence": 30000, "first_rtx_sequence": 9, "paused": False,
        }  # fmt: skip
        self.plane.order(seat.AddConsumer(**(order | changes)))
        return ConsumerId(name)

    def media(
        self, sequence: int, payload: bytes = DELTA_FRAME, *, ssrc: int = 1111, payload_type: int = 96,
        extensions: Iterable[rtp.Extension] = ((4, b"0"),), timestamp: int | None = None,
    ) -> bytes:  # fmt: skip
        """Send a packet; return it in plain."""
        at = timestamp if timestamp is not None else sequence * 3000
        head = rtp.RtpPacket(True, payload_type, 0, at & 0xFFFFFFFF, ssrc, b"", [], payload)
        packet = rtp.write(head, payload_type, sequence & 0xFFFF, ssrc, extensions)
        self.send(self.sealed(packet))
        return packet

    def frames(self, first: int, count: int, lost: Iterable[int] = ()) -> None:
        """Send one-packet frames 10 ms apart, the first a key frame; `lost` ones do not arrive."""
        missing = set(lost)
        for sequence in range(first, first + count):
            self.plane.after(0.01, step=0.01)
            if sequence not in missing:
                self.media(sequence, KEY_FRAME if sequence == first else DELTA_FRAME)

    def report(self, packet: bytes) -> None:
        """Send RTCP."""
        self.send(self.sealed(packet))

    def sealed(self, packet: bytes) -> bytes:
        """Encrypt a packet as this client."""
        assert self._srtp is not None
        sealed = self._srtp.seal(packet, rtcp=192 <= packet[1] <= 223)
        assert sealed is not None
        return sealed

    def told(self, kind: type[rtcp.Rtcp]) -> list[rtcp.Rtcp]:
        """Return the RTCP of one kind that came."""
        return [each for each in self.rtcp if isinstance(each, kind)]


def key_frames_asked(client: Client) -> int:
    """Return how many key frame requests came."""
    return len(client.told(rtcp.KeyFrameRequest))


def call() -> tuple[VirtualPlane, Client, Client]:
    """Return a plane with a publisher of VP8 and a viewer of it."""
    plane = VirtualPlane()
    publisher, viewer = plane.client("publisher"), plane.client("viewer")
    viewer.consume("consumer", publisher.produce("producer"))
    return plane, publisher, viewer


def sequences(client: Client, ssrc: int = 5000) -> list[int]:
    """Return the sequence numbers of a stream as they came."""
    return [packet.sequence for packet in client.packets if packet.ssrc == ssrc]
