"""Whatever a stranger or a peer sends: nothing is raised, nothing is sent back, the next good packet is served."""

import time

import pytest
from aioice.stun import Class, Message, Method
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.packets import rtcp, rtp
from sfu.plane.reference.plane import MAX_DATAGRAM
from tests.pure import corpora
from tests.pure.virtual_plane import DELTA_FRAME, KEY_FRAME, VirtualPlane, call, sequences

pytestmark = pytest.mark.usefixtures("each_core")
corpus = list(corpora.everything())
datagrams = st.lists(
    st.one_of(
        st.binary(max_size=200),
        st.sampled_from(corpus),
        st.builds(lambda data, at, byte: data[:at] + bytes([byte]) + data[at + 1 :], st.sampled_from(corpus), st.integers(0, 80), st.integers(0, 255)),
    ),
    max_size=20,
)  # fmt: skip


@given(datagrams)
def test_a_stranger_gets_nothing_and_breaks_nothing(sent: list[bytes]) -> None:
    plane = VirtualPlane()
    client = plane.client("a", secured=False)
    for data in sent:
        plane.datagram(data, ("10.9.9.9", 9))
    assert plane.stats().packets_sent == 0
    assert plane.stats().discarded == len(sent)
    assert plane.events == []
    assert client.check()


@given(datagrams)
def test_the_address_of_a_peer_breaks_nothing_without_its_keys(sent: list[bytes]) -> None:
    _, publisher, viewer = call()
    publisher.media(1, KEY_FRAME)
    for data in sent:
        publisher.send(data)
    publisher.media(2)
    assert sequences(viewer) == [30000, 30001]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(corpus) | st.binary(min_size=12, max_size=1300), max_size=15), st.booleans())
def test_a_peer_with_keys_may_send_anything(sent: list[bytes], as_viewer: bool) -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 5)
    for data in sent:
        if 8 <= len(data) <= 1340:
            sealed = (viewer if as_viewer else publisher)._srtp.seal(data, rtcp=192 <= data[1] <= 223)
            if sealed is not None:
                (viewer if as_viewer else publisher).send(sealed)
        plane.after(0.04)
    assert sequences(viewer)[:5] == list(range(30000, 30005))


@given(st.binary(max_size=120), st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=30)), max_size=5))
def test_any_content_under_the_streams_own_ssrc_is_forwarded_or_dropped(content, extensions) -> None:
    plane, publisher, viewer = call()
    publisher.media(1, KEY_FRAME)
    publisher.media(2, content, extensions=[(each, value) for each, value in extensions if each])
    publisher.media(9, content, ssrc=2222, payload_type=97)
    publisher.media(3, DELTA_FRAME)
    plane.after(0.1)
    assert sequences(viewer)[0] == 30000
    assert plane.stats().failures == 0


def test_oversized_and_empty_datagrams_are_dropped() -> None:
    _, publisher, viewer = call()
    for size in (0, 1, 2, 11, 12, 1500, 1501, MAX_DATAGRAM):
        for first in (0, 1, 22, 128, 144):
            publisher.send((bytes([first, 96]) + bytes(size))[:size])
    publisher.media(1, KEY_FRAME)
    assert sequences(viewer) == [30000]


def test_a_packet_that_may_be_too_long_to_seal_again_hurts_no_other() -> None:
    plane, publisher, viewer = call()
    publisher.media(1, KEY_FRAME)
    packet = rtp.RtpPacket(True, 96, 2, 0, 1111, b"", [], bytes(1344))
    publisher.send(publisher.sealed(rtp.write(packet, 96, 2, 1111, ())))
    publisher.media(3)
    plane.after(0.1)
    assert sequences(viewer) == ([30000, 30002] if plane.runs == "reference" else [30000, 30001, 30002])


def test_what_is_addressed_to_nobody_is_not_even_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = VirtualPlane(core="reference")
    client = plane.client("a", secured=False)
    parsed: list[bytes] = []
    monkeypatch.setattr("sfu.plane.reference.core.parse_check", parsed.append)
    named = Message(Method.BINDING, Class.REQUEST, attributes={"USERNAME": "nobody:theirs"})
    named.add_message_integrity(b"a password")
    head = b"\0\1\x05\x10\x21\x12\xa4\x42" + bytes(12)
    for data in (bytes(named), head + b"\x80\x22\0\0" * 324, head + (b"\0\x20\0\x14\0\2" + bytes(18)) * 54):
        client.send(data)
    assert parsed == []
    assert plane.stats().discarded == 3
    client.check()
    assert len(parsed) == 1


def test_the_name_may_stand_behind_other_attributes() -> None:
    plane = VirtualPlane()
    client = plane.client("a", secured=False)
    check = Message(Method.BINDING, Class.REQUEST, attributes={"SOFTWARE": "abcde", "PRIORITY": 1})
    check.attributes["USERNAME"] = f"{client.ice.username_fragment}:theirs"
    check.add_message_integrity(client.ice.password.encode())
    client.send(bytes(check))
    assert len(client.answers) == 1


def test_one_nack_asks_for_a_thousand_packets_at_most() -> None:
    everything = b"\x81\xcd\x01\x40" + bytes(8) + b"\x75\x00\xff\xff" * 318
    (nack,) = rtcp.parse(everything)
    assert isinstance(nack, rtcp.Nack)
    assert len(nack.sequences) == 1000


def test_the_dearest_datagrams_stay_cheap() -> None:
    """A NACK of everything, a compound of empty packets, a check full of attributes: each well under what stalls a loop."""
    _, publisher, viewer = call()
    publisher.frames(1, 50)
    nacks = b"\x81\xcd\x01\x40" + bytes(4) + (5000).to_bytes(4, "big") + b"\x75\x00\xff\xff" * 318
    compound = b"\x80\xcb\x00\x00" * 330
    for packet in (nacks, compound):
        began = time.process_time()
        viewer.report(packet)
        assert time.process_time() - began < 0.05
    began = time.process_time()
    viewer.send(b"\0\1\x05\x00\x21\x12\xa4\x42" + bytes(12) + b"\x80\x22\0\0" * 320)
    assert time.process_time() - began < 0.05
