"""What one side sends and the other gets: renumbered, complete, in its own words. Time is virtual, loss is seeded."""

from itertools import pairwise
from random import Random

import pytest

from sfu.packets import rtcp, rtp
from sfu.plane import seat
from tests.pure.virtual_plane import (
    DELTA_FRAME,
    KEY_FRAME,
    MID,
    OPUS,
    ORIENTATION,
    VP8,
    VirtualPlane,
    call,
    key_frames_asked,
    sequences,
)

pytestmark = pytest.mark.usefixtures("each_core")


def test_ssrc_payload_type_extensions_and_mid_become_the_receivers() -> None:
    _, publisher, viewer = call()
    publisher.media(77, KEY_FRAME + b"picture", extensions=[(4, b"0"), (13, b"\x01"), (3, b"\0\7")], timestamp=4242)
    (packet,) = viewer.packets
    assert (packet.ssrc, packet.payload_type, packet.sequence) == (5000, 101, 30000)
    assert (packet.timestamp, packet.marker, packet.payload) == (4242, True, KEY_FRAME + b"picture")
    assert dict(packet.extensions) == {8: b"\x01", 1: b"7"}


def test_a_large_extension_takes_the_two_byte_form() -> None:
    plane = VirtualPlane()
    publisher, viewer = plane.client("publisher"), plane.client("viewer")
    publisher.produce("producer", extensions={MID: 4, ORIENTATION: 13})
    viewer.consume("consumer", "producer", extensions={MID: 1, ORIENTATION: 200})
    publisher.media(1, KEY_FRAME, extensions=[(13, bytes(20))])
    assert dict(viewer.packets[0].extensions) == {200: bytes(20), 1: b"7"}


def test_a_stream_without_announced_ssrc_is_found_by_its_mid_and_latched() -> None:
    plane = VirtualPlane()
    publisher, viewer = plane.client("publisher"), plane.client("viewer")
    viewer.consume("consumer", publisher.produce("producer", ssrc=None, rtx_ssrc=None))
    publisher.media(1, KEY_FRAME, ssrc=808, extensions=[(4, b"9")])
    assert viewer.packets == []
    publisher.media(2, KEY_FRAME, ssrc=808, payload_type=55)
    assert viewer.packets == []
    publisher.media(3, KEY_FRAME, ssrc=808)
    publisher.media(4, ssrc=808, extensions=())
    publisher.media(5, ssrc=909)
    assert sequences(viewer) == [30000, 30001]


def test_packets_of_an_unknown_ssrc_or_payload_type_are_dropped() -> None:
    plane, publisher, viewer = call()
    publisher.media(1, KEY_FRAME, ssrc=31337, extensions=())
    publisher.media(1, KEY_FRAME, payload_type=55)
    assert viewer.packets == []
    assert plane.producer_stats("producer").packets_discarded == 1
    assert seat.StreamStarted("producer") not in plane.events


def test_nothing_is_forwarded_before_the_receiver_has_keys_and_then_from_a_key_frame_on() -> None:
    plane = VirtualPlane()
    publisher, viewer = plane.client("publisher"), plane.client("viewer", secured=False)
    viewer.consume("consumer", publisher.produce("producer"))
    publisher.frames(1, 5)
    viewer.check()
    viewer.secure()
    assert key_frames_asked(publisher) == 1
    publisher.media(6)
    assert viewer.packets == []
    publisher.media(7, KEY_FRAME)
    publisher.media(8)
    assert sequences(viewer) == [30000, 30001]


def test_media_without_keys_is_dropped() -> None:
    plane = VirtualPlane()
    publisher = plane.client("publisher", secured=False)
    publisher.check()
    publisher.produce("producer")
    publisher.send(b"\x80\x60" + bytes(60))
    assert plane.transport_stats(publisher.name).packets_discarded == 1
    assert plane.producer_stats("producer").packet_count == 0


def test_a_replayed_packet_is_forwarded_once() -> None:
    _, publisher, viewer = call()
    publisher.media(1, KEY_FRAME)
    sealed = publisher.sealed(rtp.write(viewer.packets[0], 96, 2, 1111, ()))
    publisher.send(sealed)
    publisher.send(sealed)
    assert sequences(viewer) == [30000, 30001]


@pytest.mark.parametrize("paused", ["consumer", "producer"])
def test_numbers_go_on_without_a_hole_over_pause_and_resume(paused: str) -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 5)
    stop = seat.PauseConsumer("consumer") if paused == "consumer" else seat.PauseProducer("producer")
    plane.order(stop)
    publisher.frames(6, 70)
    assert len(viewer.packets) == 5
    plane.order(seat.ResumeConsumer("consumer") if paused == "consumer" else seat.ResumeProducer("producer"))
    publisher.media(76, DELTA_FRAME)
    assert len(viewer.packets) == 5
    assert key_frames_asked(publisher) >= 1
    publisher.frames(77, 5)
    assert sequences(viewer) == list(range(30000, 30010))


def test_what_is_late_for_a_resume_is_not_sent_under_a_number_of_before() -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 3)
    plane.order(seat.PauseConsumer("consumer"))
    publisher.media(5)
    plane.order(seat.ResumeConsumer("consumer"))
    publisher.media(6, KEY_FRAME)
    publisher.media(4, KEY_FRAME)
    publisher.media(7)
    assert sequences(viewer) == [30000, 30001, 30002, 30003, 30004]


def test_audio_goes_on_at_once_without_key_frames() -> None:
    plane = VirtualPlane()
    publisher, viewer = plane.client("publisher"), plane.client("viewer")
    viewer.consume("consumer", publisher.produce("producer", OPUS), paused=True)
    publisher.media(1, b"sound", payload_type=111)
    plane.order(seat.ResumeConsumer("consumer"))
    publisher.media(2, b"sound", payload_type=111)
    plane.after(3)
    assert sequences(viewer) == [30000]
    assert viewer.packets[0].payload_type == 100
    assert key_frames_asked(publisher) == 0


def test_sequence_numbers_wrap_on_both_sides() -> None:
    plane = VirtualPlane()
    publisher, viewer = plane.client("publisher"), plane.client("viewer")
    viewer.consume("consumer", publisher.produce("producer"), first_sequence=65530)
    publisher.frames(65500, 100)
    assert sequences(viewer) == [each & 0xFFFF for each in range(65530, 65630)]


def test_a_sender_that_begins_anew_far_away_goes_on_without_a_hole_for_the_receiver() -> None:
    _, publisher, viewer = call()
    publisher.frames(1, 5)
    for sequence in range(40000, 40005):
        publisher.media(sequence, KEY_FRAME)
    # The first one far off is not believed until the second follows it (RFC 3550 A.1).
    assert sequences(viewer) == list(range(30000, 30009))


def test_a_lost_packet_is_asked_for_until_it_comes_and_is_then_forwarded_in_its_place() -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 20, lost={10})
    plane.after(0.2)
    asked = [each.sequences for each in publisher.told(rtcp.Nack)]
    assert len(asked) >= 3
    assert all(each == [10] for each in asked)
    publisher.media(500, b"\0\x0a" + DELTA_FRAME + b"again", ssrc=2222, payload_type=97)
    assert sequences(viewer)[-1] == 30009
    assert viewer.packets[-1].payload == DELTA_FRAME + b"again"
    assert viewer.packets[-1].payload_type == 101
    before = len(publisher.told(rtcp.Nack))
    plane.after(0.5)
    assert len(publisher.told(rtcp.Nack)) == before
    stats = plane.producer_stats("producer")
    assert (stats.packets_repaired, stats.packets_lost) == (1, 0)


def test_retransmissions_that_nobody_missed_are_dropped() -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 5)
    for payload in (b"\0\x03" + DELTA_FRAME, b"\0", b"", b"\0\x63" + DELTA_FRAME):
        publisher.media(600 + len(payload), payload, ssrc=2222, payload_type=97)
    assert len(viewer.packets) == 5
    assert plane.producer_stats("producer").packets_repaired == 0


def test_what_stays_lost_ends_in_a_key_frame_request() -> None:
    plane, publisher, _ = call()
    publisher.frames(1, 20, lost={10})
    for sequence in range(21, 120):
        plane.after(0.02)
        publisher.media(sequence)
    assert len(publisher.told(rtcp.Nack)) == 10
    assert key_frames_asked(publisher) >= 1


def test_a_producer_that_did_not_agree_to_nack_is_not_asked() -> None:
    plane = VirtualPlane()
    publisher, viewer = plane.client("publisher"), plane.client("viewer")
    viewer.consume("consumer", publisher.produce("producer", OPUS, nack=False))
    for sequence in (1, 2, 4, 3, 6):
        publisher.media(sequence, b"sound", payload_type=111)
    plane.after(1)
    assert publisher.told(rtcp.Nack) == []
    assert sequences(viewer) == [30000, 30001, 30003, 30002, 30005]


def test_a_receiver_gets_a_missing_packet_again_as_a_retransmission() -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 20)
    viewer.report(rtcp.write_nack(5000, [30003, 30004, 30090]))
    again = [packet for packet in viewer.packets if packet.ssrc == 5001]
    assert [(each.payload_type, each.sequence) for each in again] == [(102, 9), (102, 10)]
    assert [int.from_bytes(each.payload[:2], "big") for each in again] == [30003, 30004]
    original = next(packet for packet in viewer.packets if packet.sequence == 30003)
    assert again[0].payload[2:] == original.payload
    assert again[0].extensions == original.extensions
    assert plane.consumer_stats("consumer").packets_retransmitted == 2


def test_a_packet_is_not_resent_twice_within_a_round_trip_nor_when_it_is_old() -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 20)
    for _ in range(5):
        viewer.report(rtcp.write_nack(5000, [30003]))
    assert len([packet for packet in viewer.packets if packet.ssrc == 5001]) == 1
    plane.after(0.1)
    viewer.report(rtcp.write_nack(5000, [30003]))
    assert len([packet for packet in viewer.packets if packet.ssrc == 5001]) == 2
    plane.after(3)
    viewer.report(rtcp.write_nack(5000, [30003]))
    assert len([packet for packet in viewer.packets if packet.ssrc == 5001]) == 2


def test_without_retransmission_a_packet_is_resent_byte_for_byte() -> None:
    """The same nonce must never seal two messages."""
    plane = VirtualPlane()
    publisher, viewer = plane.client("publisher"), plane.client("viewer")
    viewer.consume("consumer", publisher.produce("producer", OPUS), rtx_ssrc=None)
    seen: list[bytes] = []
    viewer.receive = seen.append  # type: ignore[method-assign]
    for sequence in range(1, 6):
        publisher.media(sequence, b"sound", payload_type=111)
    viewer.report(rtcp.write_nack(5000, [30002]))
    assert len(seen) == 6
    assert seen[5] == seen[2]


def test_a_receivers_key_frame_requests_are_throttled_and_repeated_until_one_comes() -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 30)
    for _ in range(20):
        viewer.report(rtcp.write_key_frame_request(5000))
        viewer.report(rtcp.write_key_frame_request(5000, 1))
    assert key_frames_asked(publisher) == 1
    for sequence in range(31, 126):
        plane.after(0.02)
        publisher.media(sequence)
    assert key_frames_asked(publisher) == 2
    publisher.media(126, KEY_FRAME)
    for sequence in range(127, 232):
        plane.after(0.02)
        publisher.media(sequence)
    assert key_frames_asked(publisher) == 2
    stats = plane.consumer_stats("consumer")
    assert (stats.pli_count, stats.fir_count) == (20, 20)


def test_who_knows_no_pli_is_asked_with_numbered_firs() -> None:
    plane = VirtualPlane()
    publisher, viewer = plane.client("publisher"), plane.client("viewer")
    viewer.consume("consumer", publisher.produce("producer", pli=False))
    for sequence in range(1, 100):
        plane.after(0.02)
        publisher.media(sequence)
    requests = [each for each in publisher.told(rtcp.KeyFrameRequest) if each.full]
    assert len(requests) == 2
    assert [compound[-4] for compound in publisher.compounds if compound[1] == 206] == [1, 2]


def test_sender_reports_carry_the_producers_clock_and_the_receivers_counts() -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 5)
    ntp = 0xE000_0000_8000_0000
    publisher.report(rtcp.write_sender_report(rtcp.SenderReport(1111, ntp, 90_000), 5, 100, "publisher"))
    plane.after(1.2)
    (report,) = viewer.told(rtcp.SenderReport)
    assert report.ssrc == 5000
    elapsed = (report.ntp - ntp) / 2**32
    assert 0 < elapsed <= 1.2
    assert abs(report.timestamp - 90_000 - elapsed * 90_000) < 2
    compound = next(each for each in viewer.compounds if each[1] == 200)
    assert int.from_bytes(compound[20:24], "big") == 5
    assert b"\x01\x07someone" in compound
    plane.after(5)
    assert len(viewer.told(rtcp.SenderReport)) == 1  # nothing was sent since


def test_a_receivers_report_gives_loss_and_round_trip() -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 5)
    publisher.report(rtcp.write_sender_report(rtcp.SenderReport(1111, 1 << 40, 0), 5, 100, "publisher"))
    plane.after(1.2)
    (report,) = viewer.told(rtcp.SenderReport)
    sent_at = viewer.reported_at
    plane.after(0.5)
    held = rtcp.Report(5000, 25, 3, 30004, 70, report.ntp >> 16 & 0xFFFFFFFF, int(0.3 * 65536))
    viewer.report(next(rtcp.write_receiver_reports([held])))
    stats = plane.consumer_stats("consumer")
    assert (stats.packets_lost, stats.fraction_lost, stats.jitter) == (3, 25, 70)
    assert abs(stats.round_trip_time - (plane.now - sent_at - 0.3) * 1000) < 1


def test_a_publisher_is_told_each_second_what_arrived() -> None:
    plane, publisher, _ = call()
    publisher.frames(1, 150, lost=set(range(20, 30)))
    reports = publisher.told(rtcp.Report)
    assert len(reports) in (1, 2)
    assert reports[-1].ssrc == 1111
    assert reports[0].lost == 10
    assert reports[-1].fraction_lost == 0 or len(reports) == 1
    plane.after(10)
    assert 10 <= len(publisher.told(rtcp.Report)) <= 12


def test_transport_wide_feedback_comes_each_50_to_100_ms() -> None:
    plane, publisher, _ = call()
    feedback, at = list[bytes](), list[float]()
    for sequence in range(300):
        plane.after(0.01, step=0.01)
        publisher.media(sequence, KEY_FRAME, extensions=[(3, sequence.to_bytes(2, "big"))])
        was = len(feedback)
        feedback = [each for each in publisher.compounds if each[:2] == b"\x8f\xcd"]
        at += [plane.now] * (len(feedback) - was)
    assert all(0.049 < after - before < 0.101 for before, after in pairwise(at)), at
    assert len(at) >= 28
    assert sum(int.from_bytes(each[14:16], "big") for each in feedback) >= 290
    plane.after(1)
    assert len([each for each in publisher.compounds if each[:2] == b"\x8f\xcd"]) <= len(feedback) + 1


def test_a_goodbye_and_silence_are_told_and_the_stream_may_begin_again() -> None:
    plane, publisher, _ = call()
    publisher.frames(1, 3)
    publisher.report(b"\x81\xcb\0\1" + (1111).to_bytes(4, "big"))
    publisher.frames(4, 3)
    plane.after(4)
    told = [event for event in plane.events if isinstance(event, seat.StreamStarted | seat.StreamSilent)]
    started = seat.StreamStarted("producer")
    assert told == [
        started,
        seat.StreamSilent("producer", goodbye=True),
        started,
        seat.StreamSilent("producer", goodbye=False),
    ]


def test_what_was_removed_is_neither_forwarded_nor_answered() -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 3)
    plane.order(seat.RemoveConsumer("consumer"))
    publisher.media(4)
    viewer.report(rtcp.write_nack(5000, [30001]))
    assert len(viewer.packets) == 3
    plane.order(seat.RemoveProducer("producer"))
    publisher.media(5)
    plane.order(seat.CloseTransport(publisher.name))
    plane.order(seat.CloseTransport(viewer.name))
    plane.after(2)
    for stats, name in (
        (plane.consumer_stats, "consumer"),
        (plane.producer_stats, "producer"),
        (plane.transport_stats, viewer.name),
    ):
        with pytest.raises(KeyError):
            stats(name)
    if plane.runs == "reference":
        core = plane.core
        left = [core.transports, core.producers, core.consumers, core._by_address, core._by_fragment]
        assert left == [{}] * 5


def test_a_peers_ssrcs_are_bounded_and_a_stream_of_ours_never_loses_its_state() -> None:
    plane, publisher, viewer = call()
    publisher.frames(65530, 10)
    for ssrc in range(10_000, 11_100):
        publisher.media(1, ssrc=ssrc, extensions=())
    if plane.runs == "reference":
        srtp = plane.core.transports[publisher.name].srtp
        assert srtp is not None
        assert len(srtp.ssrcs) == 1024
    publisher.media(65540)
    assert len(viewer.packets) == 11


def test_streams_that_come_and_go_leave_nothing_behind_in_the_keys() -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 3)
    for number in range(3000):
        viewer.consume(f"c{number}", "producer", ssrc=10_000 + 2 * number, rtx_ssrc=10_001 + 2 * number)
        publisher.media(4 + number, KEY_FRAME)
        plane.order(seat.RemoveConsumer(f"c{number}"))
    viewer.packets.clear()
    publisher.media(4000, KEY_FRAME)
    assert len(viewer.packets) == 1
    if plane.runs == "reference":
        assert len(plane.core.transports[viewer.name].outbounds) == 1


@pytest.mark.parametrize("seed", range(5))
def test_with_loss_on_every_hop_all_packets_arrive_in_the_end(seed: int) -> None:
    """Five percent, both ways, feedback too; the publisher and the viewer behave as browsers do."""
    random = Random(seed)
    plane, publisher, viewer = call()
    sent: dict[int, bytes] = {}
    answered: set[int] = set()
    repeats = 0

    def lossy(data: bytes) -> None:
        if random.random() >= 0.05:
            receive(data)

    receive = viewer.receive
    viewer.receive = lossy  # type: ignore[method-assign]
    publisher_receive = publisher.receive
    publisher.receive = lambda data: publisher_receive(data) if random.random() >= 0.05 else None  # type: ignore[method-assign]

    def have() -> set[int]:
        originals = {packet.sequence for packet in viewer.packets if packet.ssrc == 5000}
        return originals | {int.from_bytes(p.payload[:2], "big") for p in viewer.packets if p.ssrc == 5001}

    for sequence in range(1, 701):
        plane.after(0.01, step=0.01)
        payload = (KEY_FRAME if sequence % 100 == 1 else DELTA_FRAME) + bytes(20)
        sent[sequence] = payload
        if sequence == 1 or random.random() >= 0.05:
            publisher.media(sequence, payload)
        for index, nack in enumerate(publisher.told(rtcp.Nack)):
            if index not in answered:
                answered.add(index)
                for wanted in nack.sequences:
                    repeats += 1
                    if random.random() >= 0.05:
                        original = wanted.to_bytes(2, "big") + sent[wanted]
                        publisher.media(repeats, original, ssrc=2222, payload_type=97)
        if sequence % 10 == 0 and random.random() >= 0.05:
            newest = max(have())
            missing = sorted(set(range(max(30000, newest - 100), newest)) - have())
            if missing:
                viewer.report(rtcp.write_nack(5000, missing))

    assert set(range(30000, 30650)) <= have()
    assert plane.producer_stats("producer").packets_lost <= 2


def test_stats_of_a_stream_are_named_and_counted() -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 100)
    plane.after(1)
    inbound = plane.producer_stats("producer")
    outbound = plane.consumer_stats("consumer")
    assert (inbound.ssrc, inbound.rtx_ssrc, inbound.mime_type) == (1111, 2222, VP8.mime_type)
    assert (outbound.ssrc, outbound.rtx_ssrc, outbound.packet_count) == (5000, 5001, 100)
    assert inbound.byte_count == outbound.byte_count == 200
    transport = plane.transport_stats(viewer.name)
    assert transport.rtp_bytes_sent > 0
    assert transport.bytes_sent > transport.rtp_bytes_sent
    assert plane.stats().packets_sent > 100


def test_the_same_orders_and_datagrams_give_the_same_packets() -> None:
    """So that another plane can be compared with this one."""
    runs = []
    for _ in range(2):
        plane, publisher, viewer = call()
        publisher.frames(1, 200, lost={20, 21, 50})
        publisher.report(rtcp.write_sender_report(rtcp.SenderReport(1111, 1 << 40, 0), 5, 100, "publisher"))
        viewer.report(rtcp.write_nack(5000, [30150, 30151]))
        plane.after(2)
        runs.append((viewer.raw, viewer.compounds, publisher.compounds, plane.events))
    assert runs[0] == runs[1]
