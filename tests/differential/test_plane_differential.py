"""Both planes are given the same calls on the same bad networks; what they send must be the same, packet by packet and field by field.

The reference plane is the oracle. Media is compared exactly, retransmissions included: both seal with the same keys, so equal bytes are equal
fields. RTCP's reports are not compared, as each plane spreads them over the second as it likes, nor when silence is noticed; what a sender is
asked for again (NACK), what control is told and what is counted must be the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from pylibsrtp import Error, Policy

from sfu.packets import rtcp, rtp
from sfu.plane import native, seat
from sfu.plane.reference import inbound, nack, outbound
from sfu.plane.reference.core import Core
from sfu.plane.reference.history import History
from sfu.plane.reference.inbound import Inbound
from sfu.plane.reference.nack import NackGenerator
from sfu.plane.reference.outbound import Outbound
from tests.differential.plane_scenarios import Address, Scenario, Step, session

pytestmark = pytest.mark.skipif(bool(native.missing()), reason=f"no native plane: {native.missing()}")

SEEDS, DATAGRAMS, AT_ONCE = 200, 2000, 20
FRAME_WAIT = 4000
COUNTED = {
    "packet_count", "byte_count", "packets_discarded", "packets_retransmitted", "packets_repaired", "nack_count",
    "nack_packet_count", "bytes_received", "rtp_bytes_received", "rtp_bytes_sent", "rtx_bytes_received", "rtx_bytes_sent",
}  # fmt: skip
OF_PRODUCERS = {"packets_discarded", "packets_repaired"}
Sent = list[tuple[bytes, Address]]


class Planes:
    """The two planes, given the same step by step; `sent` and `told` are the reference's, then the native one's."""

    def __init__(self, scenario: Scenario, frame_wait: int = 0) -> None:
        import packet_plane

        self.scenario = scenario
        self.sent: tuple[Sent, Sent] = ([], [])
        """What each sent in the last step."""
        self.told: tuple[list[seat.Event], list[seat.Event]] = ([], [])
        """What each has told."""
        self._reference = Core(self._deliver, self.told[0].append)
        self._native = packet_plane.Core(30.0, frame_wait)

    def _deliver(self, datagram: bytes, address: Address) -> None:
        self.sent[0].append((datagram, address))
        self.scenario.sent(datagram, address)

    def steps(self) -> Iterator[Step]:
        for step in self.scenario.steps():
            self.sent[0].clear()
            if step.order is not None:
                self._reference.order(step.order, step.now)
                self._native.order(step.order, step.now)
            elif step.datagram:
                self._reference.datagram(step.datagram, step.address, step.now)
                self._native.datagram(step.datagram, step.address, step.now)
            else:
                for work in self._reference.due(step.now):
                    work()
                self._native.due(step.now)
            self.sent[1][:] = self._native.sent()
            self.told[1].extend(native.event_of(each) for each in self._native.drain())
            yield step

    def counted(self) -> Iterator[tuple[str, str, object, object]]:
        """Yield what both count: of which stream or transport, under which name, and the two counts."""
        reference, counters = self._reference, native.counters
        pairs: list[tuple[str, Any, Any]] = []
        for producer, stream in reference.producers.items():
            pairs.append(
                (producer, stream.snapshot(), counters(seat.StreamStats, self._native.producer_stats(producer)))
            )
        for consumer, sent in reference.consumers.items():
            pairs.append((consumer, sent.stats, counters(seat.StreamStats, self._native.consumer_stats(consumer))))
        for name, transport in reference.transports.items():
            pairs.append((name, transport.stats, counters(seat.TransportStats, self._native.transport_stats(name))))
        for whose, one, other in pairs:
            for each in COUNTED & set(one.__slots__):
                if "consumer" not in whose or each not in OF_PRODUCERS:
                    yield whose, each, getattr(one, each), getattr(other, each)


def is_rtcp(datagram: bytes) -> bool:
    return 192 <= datagram[1] <= 223


def media(sent: Sent) -> Sent:
    """Return the RTP packets by receiver and SSRC, each stream's in order."""
    found = [each for each in sent if 128 <= each[0][0] < 192 and not is_rtcp(each[0])]
    return sorted(found, key=lambda each: (each[1], each[0][8:12]))


class Reader:
    """Decrypts all that one plane sends, as its peers do."""

    def __init__(self, scenario: Scenario) -> None:
        self._peers = scenario.peers
        peers = (scenario.publisher, *scenario.receivers)
        self._sessions = {peer.name: session(peer.got_key, Policy.SSRC_ANY_INBOUND) for peer in peers}
        self._read: dict[bytes, bytes] = {}

    def plain(self, datagram: bytes, address: Address) -> bytes:
        """Return a packet in plain; one that comes again is known from before."""
        if datagram not in self._read:
            inbound = self._sessions[self._peers[address].name]
            self._read[datagram] = (
                inbound.unprotect_rtcp(datagram) if is_rtcp(datagram) else inbound.unprotect(datagram)
            )
        return self._read[datagram]


def fields(reader: Reader, datagram: bytes, address: Address) -> dict[str, object]:
    """Return what is in a sealed packet, by name."""
    try:
        packet = rtp.parse(reader.plain(datagram, address))
    except Error as error:
        ssrc, sequence = int.from_bytes(datagram[8:12], "big"), int.from_bytes(datagram[2:4], "big")
        return {"to": address, "ssrc": ssrc, "sequence": sequence, "seal": str(error)}
    assert packet is not None
    named = ("ssrc", "sequence", "payload_type", "marker", "timestamp", "csrcs", "extensions", "payload")
    return {"to": address} | {name: getattr(packet, name) for name in named} | {"seal": None}


def first_difference(seed: int, datagrams: int = DATAGRAMS) -> str:
    """Let both planes have a call; return where they first differ, or nothing."""
    planes = Planes(Scenario(seed, datagrams))
    log: tuple[Sent, Sent] = ([], [])
    readers = Reader(planes.scenario), Reader(planes.scenario)
    for step in planes.steps():
        where = f"seed {seed}, {step.now:.6f} s"
        sent = media(planes.sent[0]), media(planes.sent[1])
        log[0].extend(sent[0])
        log[1].extend(sent[1])
        if sent[0] != sent[1]:
            return f"{where}, {described(step)}: {media_difference(planes.scenario, log, sent)}"
        asked = [asked_for(reader, each) for reader, each in zip(readers, planes.sent, strict=True)]
        if asked[0] != asked[1]:
            return f"{where}, {described(step)}: the publisher is asked for {asked[1]}, not {asked[0]}"
    told = [in_short(each) for each in planes.told]
    at = next((at for at, (one, other) in enumerate(zip(*told, strict=False)) if one != other), min(map(len, told)))
    if told[0] != told[1]:
        return f"seed {seed}: told {told[1][at : at + 3]}, not {told[0][at : at + 3]}"
    different = [
        f"{name}'s {each} is {ours}, not {theirs}" for name, each, theirs, ours in planes.counted() if theirs != ours
    ]
    return f"seed {seed}: {', '.join(different)}" if different else ""


def described(step: Step) -> str:
    if step.order is not None:
        return str(step.order)[:100]
    return f"{len(step.datagram)} bytes from {step.address}" if step.datagram else "time passes"


def asked_for(reader: Reader, sent: Sent) -> list[tuple[int, int]]:
    """Return (ssrc, sequence) of what NACKs ask for."""
    compounds = [rtcp.parse(reader.plain(*each)) for each in sent if 128 <= each[0][0] < 192 and is_rtcp(each[0])]
    nacks = [each for compound in compounds for each in compound if isinstance(each, rtcp.Nack)]
    return sorted((each.ssrc, sequence) for each in nacks for sequence in each.sequences)


def in_short(told: list[seat.Event]) -> list[str]:
    """Return what was told; of a stream that fell silent and began again only that it goes on: planes look at different moments."""
    kept: list[str] = []
    streams = (seat.StreamStarted, seat.StreamSilent)
    going: set[str] = set()
    for each in told:
        if isinstance(each, streams):
            started = isinstance(each, seat.StreamStarted)
            if (started and each.producer in going) or (isinstance(each, seat.StreamSilent) and not each.goodbye):
                continue
            (going.add if started else going.discard)(each.producer)
        kept.append(str(each))
    return kept


def media_difference(scenario: Scenario, log: tuple[Sent, Sent], sent: tuple[Sent, Sent]) -> str:
    """Name the first packet of a step that differs, and its first field."""
    readers = Reader(scenario), Reader(scenario)
    opened = [[fields(reader, *each) for each in every] for reader, every in zip(readers, log, strict=True)]
    theirs, ours = (each[len(each) - len(last) :] for each, last in zip(opened, sent, strict=True))
    for their, our in zip(theirs, ours, strict=False):
        differs = next((name for name in their if their[name] != our.get(name)), None)
        if differs:
            packet = f"packet {their['sequence']} of SSRC {their['ssrc']} to {their['to']}"
            return f"{packet}: {differs} is {our.get(differs)!r}, not {their[differs]!r}"
    if theirs[: len(ours)] == ours and len(ours) < len(theirs):
        return f"not sent: {theirs[len(ours)]}"
    return f"sent: {ours[len(theirs)]}" if len(ours) > len(theirs) else "the seals alone differ"


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_both_planes_send_the_same(first: int) -> None:
    differences = [each for each in map(first_difference, range(first, first + AT_ONCE)) if each]
    assert not differences, "\n".join(differences)


def test_enough_happens_in_the_calls() -> None:
    """Media goes out, some of it again; publishers are asked again; a comparison of nothing would find no difference."""
    for seed in range(5):
        planes = Planes(Scenario(seed, DATAGRAMS))
        reader = Reader(planes.scenario)
        sent, asked = [], 0
        for _ in planes.steps():
            sent += media(planes.sent[1])
            asked += len(asked_for(reader, planes.sent[1]))
        rtx = [datagram for datagram, _ in sent if datagram[1] & 0x7F in (102, 104)]
        copies = len(sent) - len({datagram for datagram, _ in sent})
        addresses = {address for _, address in sent}
        assert len(sent) > DATAGRAMS / 2, seed
        assert len(rtx) > 10, seed
        assert copies > 5, seed
        assert asked > 50, seed
        assert len(addresses) > 2, seed


def test_a_frame_that_waits_for_its_end_arrives_in_the_same_order() -> None:
    """Retransmissions are left out: a receiver may ask for what one plane has sent and the other has still waiting."""
    for seed in range(40):
        planes = Planes(Scenario(seed, DATAGRAMS, rtx=True), FRAME_WAIT)
        streams: tuple[dict[bytes, list[bytes]], ...] = ({}, {})
        for _ in planes.steps():
            for stream, sent in zip(streams, planes.sent, strict=True):
                for datagram, _address in media(sent):
                    stream.setdefault(datagram[8:12], []).append(datagram)
        for ssrc, packets in streams[0].items():
            if packets[0][1] & 0x7F not in (102, 104):
                assert packets == streams[1].get(ssrc), f"seed {seed}, SSRC {int.from_bytes(ssrc, 'big')}"


Defect = Callable[[pytest.MonkeyPatch], None]


def changed(owner: Any, name: str, change: Callable[..., Callable[..., Any]]) -> Defect:
    """Return a defect: this function is another, made of the right one."""
    return lambda patch: patch.setattr(owner, name, change(getattr(owner, name)))


def after(owner: type, name: str, spoil: Callable[[Any], object]) -> Defect:
    """Return a defect: something is spoiled after each call of a method."""

    def change(right: Callable[..., Any]) -> Callable[..., Any]:
        def wrong(self: Any, *given: Any) -> Any:
            result = right(self, *given)
            spoil(self)
            return result

        return wrong

    return changed(owner, name, change)


def constant(owner: Any, name: str, value: object) -> Defect:
    return lambda patch: patch.setattr(owner, name, value)


def written_with(**fields: Any) -> Defect:
    """Return a defect: what is sent has another header."""

    def write(packet: rtp.RtpPacket, *given: Any) -> bytes:
        return rtp.write(replace(packet, **fields), *given)

    return constant(outbound, "rtp", SimpleNamespace(write=write, write_rtx=rtp.write_rtx))


DEFECTS: dict[str, Defect] = {
    "a late packet is forwarded though it was there": changed(
        NackGenerator, "received", lambda right: lambda *given: right(*given) or True
    ),
    "one number is left out at a resume": after(
        Outbound, "_begin", lambda stream: setattr(stream, "_offset", stream._offset + 1)
    ),
    "the MID is not written": after(Outbound, "__init__", lambda stream: stream._mid.clear()),
    "a number of RTX is used twice": after(
        Outbound, "nacked", lambda stream: setattr(stream, "_next_rtx", stream.order.first_rtx_sequence)
    ),
    "a packet is sent again as often as it is asked for": changed(
        History, "again", lambda right: lambda self, sequence, now, _pause: right(self, sequence, now, 0.0)
    ),
    "what is too old is sent again": constant(outbound, "VIDEO_AGE", 60.0),
    "what was sent before a pause is sent again after it": changed(
        History, "clear", lambda _right: lambda _self: None
    ),
    "the marker is lost": written_with(marker=False),
    "the CSRCs are lost": written_with(csrcs=b""),
    "forwarding begins without a key frame": constant(inbound, "recognizable", lambda _mime_type: False),
    "what was repaired is not counted": after(Inbound, "_unwrap", lambda stream: setattr(stream.stats, "packets_repaired", 0)),
    "packets are asked for too late": constant(nack, "DELAY", 0.020),
    "what was asked for in vain is asked for on and on": constant(nack, "TRIES", 11),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found_that_was_planted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    DEFECTS[name](monkeypatch)
    assert any(first_difference(seed) for seed in range(10)), "no call of ten shows it"
