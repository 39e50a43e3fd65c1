"""Padding on order, as mediasoup-client expects it: its own stream, exact in size, opened here by libsrtp."""

import pytest

from sfu.packets import rtp
from sfu.plane import native, seat
from sfu.supported import ABS_SEND_TIME, MID, TRANSPORT_WIDE_CC
from tests.pure.virtual_plane import CORES, KEY_FRAME, Client, VirtualPlane, call, sequences

IDS = {MID: 1, ABS_SEND_TIME: 4, TRANSPORT_WIDE_CC: 5}
MOST = 32 * 1024


def probed(client: Client, size: int, ids: dict[str, int] = IDS) -> list[bytes]:
    """Order padding for a client; return the packets that came."""
    before = len(client.raw)
    client.plane.order(seat.Probe(client.name, size, ids))
    return client.raw[before:]


@pytest.mark.usefixtures("each_core")
class TestEachPlane:
    def test_padding_is_a_stream_of_its_own_with_all_that_measuring_needs(self) -> None:
        plane, _, viewer = call()
        plane.now = 129.5  # the stamp counts to 64
        raw = probed(viewer, 3 * 287)
        packets = [rtp.parse(each) for each in raw]
        assert [len(each) for each in raw] == [287] * 3
        for number, (packet, each) in enumerate(zip(packets, raw, strict=True), 1):
            assert packet is not None
            assert (packet.ssrc, packet.payload_type, packet.marker, packet.payload) == (1234, 127, False, b"")
            assert (packet.sequence, packet.timestamp) == (number, 20 * number)
            assert packet.extensions == [(1, b"probator"), (4, b"\x06\0\0"), (5, number.to_bytes(2, "big"))]
            assert each[-1] == 255
            assert each[32:-1] == bytes(254)

    def test_as_many_bytes_come_as_were_ordered_up_to_the_bound(self) -> None:
        _, _, viewer = call()
        assert [len(each) for each in probed(viewer, 1000, {})] == [267, 267, 267, 199]
        assert probed(viewer, 12, {}) == []
        assert len(probed(viewer, 13, {})[0]) == 13
        total = sum(len(each) for each in probed(viewer, 10 * MOST))
        assert MOST - 32 <= total <= MOST
        assert sequences(viewer, ssrc=1234) == list(range(1, len(viewer.raw) + 1))

    def test_padding_is_no_media(self) -> None:
        plane, publisher, viewer = call()
        publisher.media(1, KEY_FRAME)
        probed(viewer, 5000)
        publisher.media(2)
        assert sequences(viewer) == [30000, 30001]
        assert plane.consumer_stats("consumer").packet_count == 2
        stats = plane.transport_stats(viewer.name)
        assert stats.rtp_bytes_sent == sum(len(each) for each in viewer.raw if each[8:12] != b"\0\0\x04\xd2")
        assert stats.bytes_sent > 5000

    def test_nobody_is_probed_whom_media_could_not_reach(self) -> None:
        plane = VirtualPlane()
        viewer = plane.client("viewer", secured=False)
        assert probed(viewer, 1000) == []
        viewer.check(nominate=True)
        assert probed(viewer, 1000) == []
        viewer.secure()
        assert sequences(viewer, ssrc=1234) == []
        probed(viewer, 1000)
        assert sequences(viewer, ssrc=1234) == [1, 2, 3, 4]


@pytest.mark.skipif(bool(native.missing()), reason=f"no native plane: {native.missing()}")
def test_both_planes_send_the_same() -> None:
    came = []
    for core in CORES:
        plane = VirtualPlane(core=core)
        viewer = plane.client("viewer")
        for size, ids in ((1000, IDS), (40_000, {MID: 1, TRANSPORT_WIDE_CC: 20}), (300, {ABS_SEND_TIME: 9})):
            plane.after(0.0371, step=0.0371)
            probed(viewer, size, ids)
        came.append(viewer.raw)
    assert len(came[0]) > 100
    assert came[0] == came[1]
