"""RTP packets (RFC 3550 §5.1) and their header extensions (RFC 8285, both forms), read and written on bytes.

A packet that contradicts its own length is None. Padding is cut off on reading and never written: it cost the sender's
link, not the receivers'.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

_HEADER = struct.Struct("!BBHII")
ONE_BYTE, TWO_BYTE, TWO_BYTE_MASK = 0xBEDE, 0x1000, 0xFFF0
MAX_EXTENSIONS = 20
"""Elements that are read of a packet. Browsers send up to ten; hundreds would have to be written anew for each receiver."""
Extension = tuple[int, bytes]


@dataclass(slots=True)
class RtpPacket:
    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    csrcs: bytes
    extensions: list[Extension]
    payload: bytes

    def extension(self, extension_id: int | None) -> bytes | None:
        """Return the value of a header extension, None if it is not there."""
        return next((value for each, value in self.extensions if each == extension_id), None)


def parse(data: bytes) -> RtpPacket | None:
    """Read a packet; None if it is none."""
    if len(data) < 12 or data[0] >> 6 != 2:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    offset = 12 + 4 * (first & 0x0F)
    end = len(data)
    csrcs = data[12:offset]
    extensions: list[Extension] = []
    if first & 0x10:
        if end < offset + 4:
            return None
        profile, words = struct.unpack_from("!HH", data, offset)
        start, offset = offset + 4, offset + 4 + 4 * words
        if offset <= end:
            extensions = _read_extensions(profile, data[start:offset])
    if first & 0x20 and end:
        padding = data[-1]
        if not padding:
            return None
        end -= padding
    if offset > end:
        return None
    return RtpPacket(bool(second & 0x80), second & 0x7F, sequence, timestamp, ssrc, csrcs, extensions, data[offset:end])


def _read_extensions(profile: int, block: bytes) -> list[Extension]:
    """Read the elements of a block; from the first that does not fit on, nothing; nor what is too much."""
    two_byte = profile & TWO_BYTE_MASK == TWO_BYTE
    if not two_byte and profile != ONE_BYTE:
        return []
    found: list[Extension] = []
    at, end = 0, len(block)
    while at < end and len(found) < MAX_EXTENSIONS:
        if block[at] == 0:  # padding between elements
            at += 1
            continue
        if two_byte:
            if at + 1 >= end:
                break
            element, length, at = block[at], block[at + 1], at + 2
        else:
            element, length, at = block[at] >> 4, (block[at] & 0x0F) + 1, at + 1
            if element == 15:
                break
        if at + length > end:
            break
        found.append((element, block[at : at + length]))
        at += length
    return found


def write_extensions(extensions: Iterable[Extension]) -> bytes:
    """Write a block with its header; the one-byte form if all elements fit it. Nothing at all without elements."""
    elements = list(extensions)
    if not elements:
        return b""
    if all(each < 15 and 0 < len(value) <= 16 for each, value in elements):
        profile, parts = ONE_BYTE, [bytes((each << 4 | len(value) - 1,)) + value for each, value in elements]
    else:
        profile, parts = TWO_BYTE, [bytes((each, len(value))) + value for each, value in elements]
    block = b"".join(parts)
    block += bytes(-len(block) % 4)
    return struct.pack("!HH", profile, len(block) // 4) + block


def write(packet: RtpPacket, payload_type: int, sequence: int, ssrc: int, extensions: Iterable[Extension]) -> bytes:
    """Write a packet anew under other numbers; marker, timestamp, sources and payload stay."""
    block = write_extensions(extensions)
    first = 0x80 | (0x10 if block else 0) | len(packet.csrcs) // 4
    second = payload_type | (0x80 if packet.marker else 0)
    return _HEADER.pack(first, second, sequence, packet.timestamp, ssrc) + packet.csrcs + block + packet.payload


def write_rtx(sent: bytes, payload_type: int, sequence: int, ssrc: int) -> bytes:
    """Wrap a packet that `write` made as a retransmission: its own sequence number moves into the payload (RFC 4588 §4)."""
    first, second, original, timestamp, _ = _HEADER.unpack_from(sent)
    offset = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        offset += 4 + 4 * int.from_bytes(sent[offset + 2 : offset + 4], "big")
    header = _HEADER.pack(first, second & 0x80 | payload_type, sequence, timestamp, ssrc)
    return b"".join((header, sent[12:offset], struct.pack("!H", original), sent[offset:]))
