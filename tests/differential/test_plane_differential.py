"""Both planes are given the same calls on the same bad networks; what they send must be the same, packet by packet and field by field.

The reference plane is the oracle. Media is compared exactly, retransmissions included: both seal with the same keys, so equal bytes are equal
fields. RTCP's reports are not compared, as each plane spreads them over the second as it likes, nor when silence is noticed; what a sender is
asked for again (NACK), what control is told and what is counted must be the same.
"""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from sfu.packets import rtp
from sfu.plane import native
from sfu.plane.reference import inbound, nack, outbound
from sfu.plane.reference.history import History
from sfu.plane.reference.inbound import Inbound
from sfu.plane.reference.nack import NackGenerator
from sfu.plane.reference.outbound import Outbound
from tests.differential.difference import first_difference
from tests.differential.plane_scenarios import Scenario
from tests.differential.planes import Planes
from tests.differential.reader import Reader, asked_for, media

pytestmark = pytest.mark.skipif(bool(native.missing()), reason=f"no native plane: {native.missing()}")

SEEDS, DATAGRAMS, AT_ONCE = 200, 2000, 20
FRAME_WAIT = 4000


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_both_planes_send_the_same(first: int) -> None:
    differences = [first_difference(seed, DATAGRAMS) for seed in range(first, first + AT_ONCE)]
    assert not any(differences), "\n".join(filter(None, differences))


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
    assert any(first_difference(seed, DATAGRAMS) for seed in range(10)), "no call of ten shows it"
