"""RTCP as far as a forwarder needs it (RFC 3550 §6, 4585, 5104): compounds are split first, each packet is read alone.

What lies about its length ends the compound; what came before it counts. Unknown packets are passed over.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
NACK, TRANSPORT_CC, PLI, FIR = 1, 15, 1, 4
MAX_REPORTS = 31
MAX_NACKED = 1000
"""Packets that one NACK can ask for, more than anybody keeps; its 1,400 bytes could name five times as many."""
OWN_SSRC = 1
"""Whom our feedback is from: a forwarder that sends no media of its own to a producer has no stream to name."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report block; `lost` is signed, `jitter` in ticks, `delay` since the sender report in 1/65536 s."""

    ssrc: int
    fraction_lost: int
    lost: int
    highest: int
    jitter: int
    last_report: int
    delay: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    ssrc: int
    ntp: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Nack:
    ssrc: int
    sequences: list[int]


@dataclass(frozen=True, slots=True)
class KeyFrameRequest:
    ssrc: int
    full: bool


@dataclass(frozen=True, slots=True)
class Goodbye:
    ssrcs: tuple[int, ...]


Rtcp = Report | SenderReport | Nack | KeyFrameRequest | Goodbye


def parse(data: bytes) -> Iterator[Rtcp]:
    """Read a compound or reduced-size packet."""
    at = 0
    while at + 4 <= len(data) and data[at] >> 6 == 2:
        first, packet_type, words = struct.unpack_from("!BBH", data, at)
        end = at + 4 + 4 * words
        if end > len(data):
            return
        body = data[at + 4 : end]
        padding = body[-1] if first & 0x20 and body else 0
        if padding <= len(body):
            yield from _read(packet_type, first & 0x1F, body[: len(body) - padding])
        at = end


def _read(packet_type: int, count: int, body: bytes) -> Iterator[Rtcp]:
    if packet_type == SR and len(body) >= 24:
        ssrc, ntp, timestamp = struct.unpack_from("!IQI", body)
        yield SenderReport(ssrc, ntp, timestamp)
        yield from _read_reports(count, body[24:])
    elif packet_type == RR:
        yield from _read_reports(count, body[4:])
    elif packet_type == BYE and len(body) >= 4 * count:
        yield Goodbye(struct.unpack_from(f"!{count}I", body))
    elif packet_type == RTPFB and count == NACK and len(body) >= 8:
        yield Nack(int.from_bytes(body[4:8], "big"), list(islice(_read_nack(body[8:]), MAX_NACKED)))
    elif packet_type == PSFB and count == PLI and len(body) >= 8:
        yield KeyFrameRequest(int.from_bytes(body[4:8], "big"), full=False)
    elif packet_type == PSFB and count == FIR and len(body) >= 8:
        for at in range(8, len(body) - 7, 8):
            yield KeyFrameRequest(int.from_bytes(body[at : at + 4], "big"), full=True)


def _read_reports(count: int, body: bytes) -> Iterator[Report]:
    for at in range(0, min(count * 24, len(body) - 23), 24):
        ssrc, loss, highest, jitter, last_report, delay = struct.unpack_from("!6I", body, at)
        lost = loss & 0xFFFFFF
        yield Report(ssrc, loss >> 24, lost - (lost >> 23 << 24), highest, jitter, last_report, delay)


def _read_nack(items: bytes) -> Iterator[int]:
    for at in range(0, len(items) - 3, 4):
        first, mask = struct.unpack_from("!HH", items, at)
        yield first
        yield from ((first + bit + 1) & 0xFFFF for bit in range(16) if mask >> bit & 1)


def _write(count: int, packet_type: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, packet_type, len(body) // 4) + body


def write_sender_report(clock: SenderReport, packets: int, octets: int, cname: str) -> bytes:
    """Write a sender report and its CNAME, as a compound."""
    counts = (packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    report = struct.pack("!IQIII", clock.ssrc, clock.ntp, clock.timestamp, *counts)
    name = cname.encode("utf-8", "replace")[:255]
    chunk = struct.pack("!IBB", clock.ssrc, 1, len(name)) + name + b"\0"
    return _write(0, SR, report) + _write(1, SDES, chunk + bytes(-len(chunk) % 4))


def write_receiver_reports(reports: Sequence[Report]) -> Iterator[bytes]:
    """Write receiver reports, 31 blocks a packet."""
    for at in range(0, len(reports), MAX_REPORTS):
        part = reports[at : at + MAX_REPORTS]
        blocks = b"".join(
            struct.pack(
                "!6I", r.ssrc, r.fraction_lost << 24 | r.lost & 0xFFFFFF, r.highest, r.jitter, r.last_report, r.delay
            )
            for r in part
        )
        yield _write(len(part), RR, OWN_SSRC.to_bytes(4, "big") + blocks)


def write_nack(ssrc: int, sequences: Iterable[int]) -> bytes:
    """Ask for packets again; `sequences` ascend (modulo 2^16)."""
    items: list[tuple[int, int]] = []
    for sequence in sequences:
        distance = (sequence - items[-1][0] - 1) & 0xFFFF if items else 0xFFFF
        if distance < 16:
            items[-1] = (items[-1][0], items[-1][1] | 1 << distance)
        else:
            items.append((sequence, 0))
    return _write(
        NACK, RTPFB, struct.pack("!II", OWN_SSRC, ssrc) + b"".join(struct.pack("!HH", *item) for item in items)
    )


def write_key_frame_request(ssrc: int, full: int | None = None) -> bytes:
    """Write a PLI, or a FIR with this command number."""
    if full is None:
        return _write(PLI, PSFB, struct.pack("!II", OWN_SSRC, ssrc))
    return _write(FIR, PSFB, struct.pack("!IIIB3x", OWN_SSRC, 0, ssrc, full & 0xFF))


def write_transport_cc(ssrc: int, feedback: bytes) -> bytes:
    """Wrap transport-wide feedback."""
    return _write(TRANSPORT_CC, RTPFB, struct.pack("!II", OWN_SSRC, ssrc) + feedback)
