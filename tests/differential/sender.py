"""What a publisher sends, packet by packet, before the network has it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from contracts.ids import ProducerId
from sfu.packets import rtp
from sfu.plane import seat

CAMERA, SCREEN, AUDIO = ProducerId("camera"), ProducerId("screen"), ProducerId("audio")
MIDS = {CAMERA: b"0", AUDIO: b"1", SCREEN: b"2"}


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

    @classmethod
    def begin(cls, chance: Random, producer: ProducerId, codec: seat.Codec, ssrc: int) -> "Sender":
        """Begin with any numbers, or shortly before they wrap."""
        sequence = chance.choice((65_500, chance.randrange(1 << 16)))
        return cls(producer, codec, ssrc, sequence, chance.randrange(1 << 32), chance.randrange(1 << 16))

    def frame(self, chance: Random, count: int) -> Iterator[bytes]:
        """Yield a frame's packets; it may be a key frame, sooner if one was asked for."""
        key_frame = chance.random() < (0.4 if self.owes_key_frame else 0.03)
        self.owes_key_frame &= not key_frame
        self.timestamp = self.timestamp + chance.choice((3000, 2970, 6000)) & 0xFFFFFFFF
        for each in range(count):
            if self.producer == CAMERA:
                head = (b"\x10" if each == 0 else b"\x00") + (b"\x00" if key_frame else b"\x01")
            else:
                head = b"\x67" if key_frame and each == 0 else b"\x41"
            payload = head + chance.randbytes(chance.randrange(0, 40))
            yield self._packet(chance, payload, each == count - 1)

    def sound(self, chance: Random) -> bytes:
        """Return the next 20 ms of sound."""
        self.timestamp = self.timestamp + 960 & 0xFFFFFFFF
        payload = chance.randbytes(chance.randrange(0, 30))
        return self._packet(chance, payload, marker=chance.random() < 0.1)

    def _packet(self, chance: Random, payload: bytes, marker: bool) -> bytes:
        payload_type = self.codec.payload_type
        extensions = [(4, MIDS[self.producer]), (3, chance.randbytes(2))]
        if chance.random() < 0.3:
            extensions.append((13, chance.randbytes(1)))
        if self.producer == AUDIO or chance.random() < 0.05:
            extensions.append((10, chance.randbytes(1)))
        if chance.random() < 0.02:
            extensions.append((chance.randrange(15, 200), chance.randbytes(chance.randrange(20))))
        csrcs = chance.randbytes(4 * chance.randrange(1, 4)) if chance.random() < 0.02 else b""
        head = rtp.RtpPacket(marker, payload_type, 0, self.timestamp, self.ssrc, csrcs, [], payload)
        packet = rtp.write(head, payload_type, self.sequence, self.ssrc, extensions)
        if chance.random() < 0.02:
            padding = chance.randrange(1, 9)
            packet = bytes((packet[0] | 0x20,)) + packet[1:] + bytes(padding - 1) + bytes((padding,))
        self.sequence = self.sequence + 1 & 0xFFFF
        return packet

    def again(self, chance: Random) -> bytes:
        """Return an RTX packet, of what was lost or of anything, as senders probe; nothing where there is none to send."""
        if not self.lost:
            return b""
        lost = self.lost[-1] if chance.random() < 0.7 else chance.choice(self.lost)
        if chance.random() < 0.8:
            self.lost.remove(lost)
        if lost[0] & 0x20:
            return b""
        self.rtx_sequence = self.rtx_sequence + 1 & 0xFFFF
        return rtp.write_rtx(lost, self.codec.rtx_payload_type or 0, self.rtx_sequence, 2 * self.ssrc)
