"""A seeded call on a bad network, as datagrams and orders for a packet plane: what one plane is given another can be given too.

One publisher with a camera, a screen and a microphone, two receivers of all three, one of them over IPv6 and without RTX. What the publisher
sends is lost, late, doubled, repaired by RTX, skips numbers, stops for seconds; receivers ask again for what they got, for what they did
not, and for key frames; anybody's address changes; streams are paused, resumed, removed and added again. Times are multiples of 101 µs: no
deadline falls exactly on one of them, where seconds as float and microseconds as integers could decide differently.
"""

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from aioice.stun import Class, Message, Method
from pylibsrtp import Error, Policy, Session

from contracts.ids import ConsumerId, ProducerId, TransportId
from contracts.rtp import Kind
from sfu.packets import rtcp, rtp
from sfu.plane import seat
from sfu.supported import MID, SSRC_AUDIO_LEVEL, TRANSPORT_WIDE_CC, VIDEO_ORIENTATION

STEP = 101
PROFILE = "SRTP_AEAD_AES_128_GCM"
Address = tuple[str, int]
CAMERA, SCREEN, AUDIO = ProducerId("camera"), ProducerId("screen"), ProducerId("audio")
VP8 = seat.Codec("video/VP8", 90000, payload_type=96, mapped_payload_type=101, rtx_payload_type=97)
H264 = seat.Codec("video/H264", 90000, payload_type=98, mapped_payload_type=103, rtx_payload_type=99)
OPUS = seat.Codec("audio/opus", 48000, payload_type=111, mapped_payload_type=100)
MIDS = {CAMERA: b"0", AUDIO: b"1", SCREEN: b"2"}
EXTENSIONS = {MID: 4, VIDEO_ORIENTATION: 13, TRANSPORT_WIDE_CC: 3, SSRC_AUDIO_LEVEL: 10}


@dataclass(frozen=True, slots=True)
class Step:
    """What a plane is given at `now` seconds: an order, a datagram from an address, or the time alone."""

    now: float
    order: seat.Order | None = None
    datagram: bytes = b""
    address: Address = ("", 0)


def session(key: bytes, direction: int) -> Session:
    """Return an SRTP session as a peer has it."""
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM)
    policy.window_size, policy.allow_repeat_tx = 1024, True
    return Session(policy)


class Peer:
    """The other end of a transport."""

    def __init__(self, name: str, address: Address) -> None:
        self.name, self.address = TransportId(name), address
        self.ice = seat.IceCredentials(f"fragment{name}", f"password-of-{name}-0123456789")
        self.sent_key, self.got_key = name.encode().ljust(28, b"s"), name.encode().ljust(28, b"g")
        self._outbound = session(self.sent_key, Policy.SSRC_ANY_OUTBOUND)
        self.seen: list[tuple[int, int]] = []
        """(ssrc, sequence) of what it got."""

    def check(self) -> bytes:
        message = Message(Method.BINDING, Class.REQUEST, b"0123456789ab")
        message.attributes["USERNAME"] = f"{self.ice.username_fragment}:peer"
        message.attributes |= {"PRIORITY": 1, "ICE-CONTROLLING": 7, "USE-CANDIDATE": None}
        message.add_message_integrity(self.ice.password.encode())
        message.add_fingerprint()
        return bytes(message)

    def rtp(self, packet: bytes) -> bytes:
        try:
            return bytes(self._outbound.protect(packet))
        except Error:  # libsrtp sends nothing that is more than a window behind
            return b""

    def rtcp(self, packet: bytes) -> bytes:
        return bytes(self._outbound.protect_rtcp(packet))

    def got(self, datagram: bytes) -> None:
        if 128 <= datagram[0] < 192 and not 192 <= datagram[1] <= 223:
            sequence, ssrc = struct.unpack_from("!H4xI", datagram, 2)
            self.seen = [*self.seen[-60:], (ssrc, sequence)]


@dataclass
class Sender:
    """One stream of the publisher before the network has it."""

    producer: ProducerId
    codec: seat.Codec
    ssrc: int
    sequence: int
    timestamp: int
    rtx_sequence: int
    lost: list[bytes] = field(default_factory=list)
    """Packets in plain that the network took, lately."""
    owes_key_frame: bool = True


class Scenario:
    """Steps from a seed. Whoever runs it hands what its plane sends to `sent`, for receivers answer to that."""

    def __init__(self, seed: int, datagrams: int, rtx: bool = False) -> None:
        """`rtx`: every receiver of video has it."""
        self._random, self._left, self._micros = random.Random(seed), datagrams, 100_000_000 // STEP * STEP
        self._rtx = rtx
        self.publisher = Peer("publisher", ("10.0.0.1", 1000))
        self.receivers = [Peer("receiver0", ("10.0.0.1", 2000)), Peer("receiver1", ("2001:db8::2", 2001))]
        self.peers = {peer.address: peer for peer in (self.publisher, *self.receivers)}
        """By every address that a peer ever had."""
        self._camera, self._screen, self._audio = (
            self._sender(CAMERA, VP8, 1111), self._sender(SCREEN, H264, 3333), self._sender(AUDIO, OPUS, 5555)
        )  # fmt: skip
        self._late: list[tuple[int, bytes]] = []
        self._next_consumer, self._next_port = 0, 4000
        self._consumers: dict[ConsumerId, seat.AddConsumer] = {}
        self._paused: list[str] = []

    def _sender(self, producer: ProducerId, codec: seat.Codec, ssrc: int) -> Sender:
        chance = self._random
        sequence = chance.choice((65_500, chance.randrange(1 << 16)))
        return Sender(producer, codec, ssrc, sequence, chance.randrange(1 << 32), chance.randrange(1 << 16))

    def sent(self, datagram: bytes, address: Address) -> None:
        """Take what the plane sent."""
        self.peers[address].got(datagram)

    @property
    def now(self) -> float:
        return self._micros / 1e6

    def _order(self, order: seat.Order) -> Step:
        return Step(self.now, order)

    def _datagram(self, peer: Peer, data: bytes) -> Step:
        return Step(self.now, None, data, peer.address)

    def steps(self) -> Iterator[Step]:
        """The whole call."""
        yield from self._opening()
        while self._left > 0:
            self._micros += STEP * self._random.randrange(0, 80)
            yield Step(self.now)
            yield from self._random.choices(*zip(*self._happenings(), strict=True))[0]()
        self._micros += STEP * 500
        yield Step(self.now)

    def _happenings(self) -> list[tuple[Callable[[], Iterator[Step]], float]]:
        return [
            (self._frame, 40), (self._sound, 20), (self._arrive_late, 10), (self._repair, 10), (self._nack, 9), (self._ask, 2),
            (self._stop, 0.1), (self._jump, 0.2), (self._noise, 1), (self._pause_or_resume, 0.8), (self._exchange, 0.3),
            (self._move, 0.3), (self._goodbye, 0.1),
        ]  # fmt: skip

    def _opening(self) -> Iterator[Step]:
        for peer in self.peers.values():
            yield self._order(seat.OpenTransport(peer.name, peer.ice))
            yield self._datagram(peer, peer.check())
            yield self._order(seat.SecureTransport(peer.name, PROFILE, peer.sent_key, peer.got_key))
        yield self._produce(CAMERA, Kind.VIDEO, VP8, ssrc=1111, rtx_ssrc=2222)
        yield self._produce(AUDIO, Kind.AUDIO, OPUS)
        yield self._produce(SCREEN, Kind.VIDEO, H264)
        for receiver in self.receivers:
            for producer in (CAMERA, AUDIO, SCREEN):
                yield self._consume(receiver, producer)

    def _produce(
        self, producer: ProducerId, kind: Kind, codec: seat.Codec, ssrc: int | None = None, rtx_ssrc: int | None = None
    ) -> Step:
        return self._order(
            seat.AddProducer(
                transport=self.publisher.name, producer=producer, kind=kind, codecs=(codec,), extensions=EXTENSIONS,
                ssrc=ssrc, rtx_ssrc=rtx_ssrc, mid=MIDS[producer].decode(), nack=True, pli=producer == CAMERA,
                fir=producer == SCREEN, transport_cc=True, paused=False,
            )
        )  # fmt: skip

    def _consume(self, receiver: Peer, producer: ProducerId) -> Step:
        self._next_consumer += 1
        chance, video, number = self._random, producer != AUDIO, self._next_consumer
        rtx = video and (self._rtx or receiver is self.receivers[0])
        order = seat.AddConsumer(
            transport=receiver.name, consumer=ConsumerId(f"consumer{number}"), producer=producer, ssrc=5000 + 2 * number,
            rtx_ssrc=5001 + 2 * number if rtx else None, payload_types={101: 102, 103: 104} if video else {100: None},
            extensions={MID: 1, VIDEO_ORIENTATION: 8, SSRC_AUDIO_LEVEL: 6}, mid=str(number), cname="someone",
            first_sequence=chance.choice((65530, chance.randrange(1 << 16))),
            first_rtx_sequence=chance.choice((65530, chance.randrange(1 << 16))), paused=False,
        )  # fmt: skip
        self._consumers[order.consumer] = order
        self._owe_key_frame(producer)
        return self._order(order)

    def _owe_key_frame(self, producer: ProducerId) -> None:
        for sender in (self._camera, self._screen):
            sender.owes_key_frame |= sender.producer == producer

    def _packet(self, sender: Sender, payload: bytes, marker: bool) -> bytes:
        chance, payload_type = self._random, sender.codec.payload_type
        extensions = [(4, MIDS[sender.producer]), (3, chance.randbytes(2))]
        if chance.random() < 0.3:
            extensions.append((13, chance.randbytes(1)))
        if sender is self._audio or chance.random() < 0.05:
            extensions.append((10, chance.randbytes(1)))
        if chance.random() < 0.02:
            extensions.append((chance.randrange(15, 200), chance.randbytes(chance.randrange(20))))
        csrcs = chance.randbytes(4 * chance.randrange(1, 4)) if chance.random() < 0.02 else b""
        head = rtp.RtpPacket(marker, payload_type, 0, sender.timestamp, sender.ssrc, csrcs, [], payload)
        packet = rtp.write(head, payload_type, sender.sequence, sender.ssrc, extensions)
        if chance.random() < 0.02:
            padding = chance.randrange(1, 9)
            packet = bytes((packet[0] | 0x20,)) + packet[1:] + bytes(padding - 1) + bytes((padding,))
        sender.sequence = sender.sequence + 1 & 0xFFFF
        return packet

    def _publish(self, sender: Sender, packet: bytes) -> Iterator[Step]:
        """Send through the network: it loses, doubles and delays."""
        fate = self._random.random()
        if fate < 0.06:
            sender.lost = [*sender.lost[-20:], packet]
        elif fate < 0.12:
            self._late.append((self._random.randrange(1, 30), packet))
        else:
            for _ in range(2 if fate < 0.15 else 1):
                self._left -= 1
                yield self._datagram(self.publisher, self.publisher.rtp(packet))

    def _frame(self) -> Iterator[Step]:
        chance, count = self._random, self._random.choice((1, 1, 2, 3, 5, 8))
        sender = chance.choice((self._camera, self._camera, self._screen))
        key_frame = chance.random() < (0.4 if sender.owes_key_frame else 0.03)
        sender.owes_key_frame &= not key_frame
        sender.timestamp = sender.timestamp + chance.choice((3000, 2970, 6000)) & 0xFFFFFFFF
        for each in range(count):
            if sender is self._camera:
                head = (b"\x10" if each == 0 else b"\x00") + (b"\x00" if key_frame else b"\x01")
            else:
                head = b"\x67" if key_frame and each == 0 else b"\x41"
            payload = head + chance.randbytes(chance.randrange(0, 40))
            yield from self._publish(sender, self._packet(sender, payload, each == count - 1))

    def _sound(self) -> Iterator[Step]:
        self._audio.timestamp = self._audio.timestamp + 960 & 0xFFFFFFFF
        payload = self._random.randbytes(self._random.randrange(0, 30))
        yield from self._publish(self._audio, self._packet(self._audio, payload, marker=self._random.random() < 0.1))

    def _arrive_late(self) -> Iterator[Step]:
        for waits, packet in self._late:
            if waits <= 0:
                self._left -= 1
                yield self._datagram(self.publisher, self.publisher.rtp(packet))
        self._late = [(waits - 5, packet) for waits, packet in self._late if waits > 0]

    def _repair(self) -> Iterator[Step]:
        """Send an RTX packet: of what was lost, or of anything, as senders probe."""
        sender = self._random.choice((self._camera, self._screen))
        if not sender.lost:
            return
        lost = sender.lost[-1] if self._random.random() < 0.7 else self._random.choice(sender.lost)
        if self._random.random() < 0.8:
            sender.lost.remove(lost)
        if lost[0] & 0x20:
            return
        sender.rtx_sequence = sender.rtx_sequence + 1 & 0xFFFF
        self._left -= 1
        again = rtp.write_rtx(lost, sender.codec.rtx_payload_type or 0, sender.rtx_sequence, 2 * sender.ssrc)
        yield self._datagram(self.publisher, self.publisher.rtp(again))

    def _nack(self) -> Iterator[Step]:
        receiver = self._random.choice(self.receivers)
        if receiver.seen:
            ssrc, sequence = self._random.choice(receiver.seen)
            wanted = sorted({sequence, *(sequence - self._random.randrange(40) & 0xFFFF for _ in range(3))})
            self._left -= 1
            yield self._datagram(receiver, receiver.rtcp(rtcp.write_nack(ssrc, wanted)))

    def _ask(self) -> Iterator[Step]:
        receiver = self._random.choice(self.receivers)
        if receiver.seen:
            self._left -= 1
            request = rtcp.write_key_frame_request(receiver.seen[-1][0], self._random.choice((None, 1)))
            yield self._datagram(receiver, receiver.rtcp(request))

    def _stop(self) -> Iterator[Step]:
        """Nobody sends anything for a while."""
        until = self._micros + STEP * self._random.randrange(30_000)
        while self._micros < until:
            self._micros += STEP * 250
            yield Step(self.now)

    def _jump(self) -> Iterator[Step]:
        sender = self._random.choice((self._camera, self._screen, self._audio))
        sender.sequence = sender.sequence + self._random.choice((20, 300, 1200, 3500, 40_000)) & 0xFFFF
        yield from ()

    def _noise(self) -> Iterator[Step]:
        chance = self._random
        packet = bytes((0x80, chance.choice((96, 111, 5)))) + chance.randbytes(chance.randrange(10, 60))
        self._left -= 1
        yield self._datagram(self.publisher, chance.choice((packet, self.publisher.rtp(packet))))

    def _pause_or_resume(self) -> Iterator[Step]:
        """What is paused is resumed soon: there is little to compare of what is not sent."""
        if self._paused and self._random.random() < 0.3 * len(self._paused):
            name = self._paused.pop(self._random.randrange(len(self._paused)))
            producer, consumer = ProducerId(name), ConsumerId(name)
            self._owe_key_frame(producer if name in MIDS else self._consumers[consumer].producer)
            yield self._order(seat.ResumeProducer(producer) if name in MIDS else seat.ResumeConsumer(consumer))
            return
        going = [name for name in (*MIDS, *self._consumers) if name not in self._paused]
        name = self._random.choice(going)
        self._paused.append(name)
        producer, consumer = ProducerId(name), ConsumerId(name)
        yield self._order(seat.PauseProducer(producer) if name in MIDS else seat.PauseConsumer(consumer))

    def _move(self) -> Iterator[Step]:
        """A peer goes on from another address: it checks from there, and maybe sends media from there before that."""
        peer = self._random.choice([self.publisher, *self.receivers])
        if peer is self.publisher and self._random.random() < 0.5:
            yield Step(self.now, None, peer.rtcp(rtcp.write_key_frame_request(1)), (peer.address[0], self._next_port))
        peer.address = (self._random.choice(("10.0.0.7", "2001:db8::7")), self._next_port)
        self._next_port += 1
        self.peers[peer.address] = peer
        self._left -= 1
        yield self._datagram(peer, peer.check())

    def _goodbye(self) -> Iterator[Step]:
        """The microphone ends, just after it was heard, and may be heard again."""
        yield from self._sound()
        self._left -= 1
        yield self._datagram(self.publisher, self.publisher.rtcp(struct.pack("!BBHI", 0x81, 203, 1, self._audio.ssrc)))

    def _exchange(self) -> Iterator[Step]:
        """Take a consumer away and give the receiver another one of the same producer."""
        order = self._consumers.pop(self._random.choice(list(self._consumers)))
        if order.consumer in self._paused:
            self._paused.remove(order.consumer)
        yield self._order(seat.RemoveConsumer(order.consumer))
        receiver = next(each for each in self.receivers if each.name == order.transport)
        yield self._consume(receiver, order.producer)
