"""A seeded call on a bad network, as datagrams and orders for a packet plane: what one plane is given another can be given too.

One publisher with a camera, a screen and a microphone, two receivers of all three, one of them over IPv6 and without RTX. What the publisher
sends is lost, late, doubled, repaired by RTX, skips numbers, stops for seconds; receivers ask again for what they got, for what they did
not, and for key frames; anybody's address changes; streams are paused, resumed, removed and added again. Times are multiples of 101 µs: no
deadline falls exactly on one of them, where seconds as float and microseconds as integers could decide differently.
"""

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from contracts.ids import ConsumerId, ProducerId
from contracts.rtp import Kind
from sfu.packets import rtcp
from sfu.plane import seat
from sfu.supported import MID, SSRC_AUDIO_LEVEL, TRANSPORT_WIDE_CC, VIDEO_ORIENTATION
from tests.differential.peer import Address, Peer
from tests.differential.sender import AUDIO, CAMERA, MIDS, SCREEN, Sender

STEP = 101
PROFILE = "SRTP_AEAD_AES_128_GCM"
VP8 = seat.Codec("video/VP8", 90000, payload_type=96, mapped_payload_type=101, rtx_payload_type=97)
H264 = seat.Codec("video/H264", 90000, payload_type=98, mapped_payload_type=103, rtx_payload_type=99)
OPUS = seat.Codec("audio/opus", 48000, payload_type=111, mapped_payload_type=100)
EXTENSIONS = {MID: 4, VIDEO_ORIENTATION: 13, TRANSPORT_WIDE_CC: 3, SSRC_AUDIO_LEVEL: 10}


@dataclass(frozen=True, slots=True)
class Step:
    """What a plane is given at `now` seconds: an order, a datagram from an address, or the time alone."""

    now: float
    order: seat.Order | None = None
    datagram: bytes = b""
    address: Address = ("", 0)


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
        chance = self._random
        self._camera = Sender.begin(chance, CAMERA, VP8, 1111)
        self._screen = Sender.begin(chance, SCREEN, H264, 3333)
        self._audio = Sender.begin(chance, AUDIO, OPUS, 5555)
        self._late: list[tuple[int, bytes]] = []
        self._next_consumer, self._next_port = 0, 4000
        self._consumers: dict[ConsumerId, seat.AddConsumer] = {}
        self._paused: list[str] = []

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
        for packet in sender.frame(chance, count):
            yield from self._publish(sender, packet)

    def _sound(self) -> Iterator[Step]:
        yield from self._publish(self._audio, self._audio.sound(self._random))

    def _arrive_late(self) -> Iterator[Step]:
        for waits, packet in self._late:
            if waits <= 0:
                self._left -= 1
                yield self._datagram(self.publisher, self.publisher.rtp(packet))
        self._late = [(waits - 5, packet) for waits, packet in self._late if waits > 0]

    def _repair(self) -> Iterator[Step]:
        again = self._random.choice((self._camera, self._screen)).again(self._random)
        if again:
            self._left -= 1
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
