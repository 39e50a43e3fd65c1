"""NACK, history, key frame requests, reception, feedback: each alone, under a virtual clock."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.packets import rtcp
from sfu.packets.reception import Reception
from sfu.packets.transport_cc import TICKS
from sfu.plane import seat
from sfu.plane.reference.history import History
from sfu.plane.reference.keyframe import KeyFrameRequests
from sfu.plane.reference.nack import NackGenerator
from sfu.plane.reference.twcc import TransportCc
from tests.pure import corpora
from tests.pure.test_plane_packets import _read_arrivals
from tests.pure.virtual_plane import KEY_FRAME, VirtualPlane, call, sequences

RATE = 90000


@pytest.mark.parametrize("case", corpora.table("nack_generator"), ids=lambda case: case["name"])
def test_gaps_are_found_as_mediasoup_finds_them(case: dict) -> None:
    nack, reception, asked = NackGenerator(), Reception(), set[int]()
    for packet in case["packets"]:
        extended = reception.extend(packet["seq"])
        reception.highest = max(extended, reception.highest or 0)
        assert nack.overflows(extended) == packet["keyFrameRequired"]
        nack.received(extended, packet["isKeyFrame"], now=1.0)
        now, _ = nack.due(1.010)
        fresh = [each & 0xFFFF for each in now if each not in asked]
        asked.update(now)
        assert (fresh[0] if fresh else 0, len(fresh)) == (packet["firstNacked"], packet["numNacked"])
        assert len(nack.missing) == packet["nackListSize"]


def test_a_missing_packet_is_asked_for_ten_times_then_given_up() -> None:
    nack = NackGenerator()
    nack.received(1, key_frame=False, now=0.0)
    nack.received(3, key_frame=False, now=0.0)
    assert nack.due(0.005) == ([], False)
    times = [step / 100 for step in range(1, 100) if nack.due(step / 100) == ([2], False)]
    assert len(times) == 10
    assert all(0.039 < later - earlier < 0.051 for earlier, later in pairwise(times))
    assert nack.missing == {}


def test_what_comes_late_counts_once_and_what_was_not_missing_does_not() -> None:
    nack = NackGenerator()
    assert [nack.received(each, key_frame=False, now=0.0) for each in (5, 8, 6, 6, 4, 8, 7)] == [
        True, True, True, False, False, False, True,
    ]  # fmt: skip


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=300))
def test_the_list_of_the_missing_is_bounded_and_never_holds_what_came(arrivals: list[int]) -> None:
    nack, came = NackGenerator(), set[int]()
    for index, extended in enumerate(arrivals):
        nack.received(extended, key_frame=extended % 7 == 0, now=index / 100)
        came.add(extended)
        nack.due(index / 100)
        assert len(nack.missing) <= 1000
        assert came.isdisjoint(nack.missing)


def test_the_history_is_bounded_by_count_and_by_age() -> None:
    history = History(max_age=2.0)
    for number in range(1500):
        history.add(number, b"%d" % number, now=number / 1000)
    assert len(history._sent) == 1000
    assert history.again(499, 1.5, 0.1) is None
    assert history.again(500, 1.5, 0.1) == b"500"
    history.add(1500, b"late", now=60.0)
    assert len(history._sent) == 1
    assert history.again(1499, 60.0, 0.1) is None


def test_a_packet_is_sent_again_ten_times_at_most() -> None:
    history = History(max_age=2.0)
    history.add(1, b"one", now=0.0)
    assert [history.again(1, step / 10, pause=0.05) for step in range(12)] == [b"one"] * 10 + [None] * 2
    history.add(1, b"another of the same number", now=1.5)
    assert history.again(1, 1.6, pause=0.05)


@pytest.mark.usefixtures("each_core")
def test_losses_far_apart_are_all_asked_for_in_packets_that_can_be_sealed() -> None:
    plane, publisher, _ = call()
    publisher.media(0, KEY_FRAME)
    for sequence in range(18, 18 * 800, 18):
        for each in range(sequence - 17, sequence):
            publisher.media(each)
    plane.after(0.02)
    asked = [each for nack in publisher.told(rtcp.Nack) for each in nack.sequences]
    assert asked == list(range(18, 18 * 799, 18))


def test_the_history_waits_between_two_resends() -> None:
    history = History(max_age=2.0)
    history.add(1, b"one", now=0.0)
    assert [history.again(1, at, 0.1) for at in (0.0, 0.05, 0.1, 0.15, 2.5)] == [b"one", None, b"one", None, None]


@pytest.mark.parametrize(
    "case",
    [case for case in corpora.table("key_frame_request_manager") if "forced" not in case["name"]],
    ids=lambda case: case["name"],
)
def test_key_frames_are_asked_for_as_mediasoup_does_while_time_stands_still(case: dict) -> None:
    requests, sent = KeyFrameRequests(), 0
    for step in case["steps"]:
        if step.get("function", "").endswith("KeyFrameNeeded"):
            requests.wanted = True
            sent += requests.due(1.0)
        elif step.get("function", "").endswith("KeyFrameReceived"):
            requests.arrived()
        elif step["op"] == "check":
            assert sent == step["value"]


def test_requests_are_half_a_second_apart_and_unanswered_ones_a_second() -> None:
    requests = KeyFrameRequests()
    requests.wanted = True
    assert [at for at in range(0, 350, 10) if requests.due(at / 100)] == [0, 100, 200, 300]
    requests.arrived()
    requests.wanted = True
    assert [at for at in range(310, 420, 10) if requests.due(at / 100)] == [350]


def test_jitter_is_that_of_rfc_3550() -> None:
    steady, shaky = Reception(), Reception()
    for number in range(200):
        steady.received(number, number * 3000, RATE, now=number / 30)
        shaky.received(number, number * 3000, RATE, now=number / 30 + (number % 2) * 0.010)
    assert steady.jitter <= 1
    assert 850 <= shaky.jitter <= 900


def test_loss_is_counted_over_wraps_and_reported_per_interval() -> None:
    reception = Reception()
    for number in range(65500, 65700):
        if number % 10:
            reception.received(number & 0xFFFF, 0, RATE, now=0.0)
    report = reception.report(5, now=1.0)
    assert report is not None
    assert (report.lost, report.fraction_lost) == (19, 19 * 256 // 199)
    assert report.highest == 65699
    again = reception.report(5, now=2.0)
    assert again is not None
    assert again.fraction_lost == 0


def test_one_packet_far_off_is_not_believed_and_two_in_a_row_are() -> None:
    reception = Reception()
    reception.received(10, 0, RATE, now=0.0)
    assert reception.received(40000, 0, RATE, now=0.0) is None
    assert reception.received(11, 0, RATE, now=0.0) is not None
    assert reception.received(40000, 0, RATE, now=0.0) is None
    begun = reception.received(40001, 0, RATE, now=0.0)
    assert begun is not None
    assert begun > 0x10000 + 11


def test_a_sender_that_begins_anew_lower_goes_up_all_the_same() -> None:
    reception = Reception()
    first = reception.received(30000, 0, RATE, now=0.0)
    reception.received(5, 0, RATE, now=0.0)
    second = reception.received(6, 0, RATE, now=0.0)
    assert first is not None
    assert second is not None
    assert second > first
    assert second & 0xFFFF == 6


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=200))
def test_any_order_of_numbers_gives_extended_ones_that_end_the_same(numbers: list[int]) -> None:
    reception = Reception()
    for number in numbers:
        highest = reception.highest or 0
        extended = reception.received(number, 0, RATE, now=0.0)
        assert extended is None or extended & 0xFFFF == number
        assert reception.highest is not None
        assert reception.highest >= highest
        report = reception.report(5, now=1.0)
        assert report is not None
        assert 0 <= report.fraction_lost <= 255


@pytest.mark.parametrize("case", corpora.table("twcc_receiver_feedback"), ids=lambda case: case["name"])
def test_arrivals_are_fed_back_as_mediasoup_does(case: dict) -> None:
    arrivals = case["arrivals[wideSeq,nowUs]"]
    feedback, told, last = TransportCc(), [], arrivals[0][1]
    for sequence, at in arrivals:
        if at - last >= 100_000:
            told += feedback.feedback(at / 1e6)
            last = at
        feedback.received(sequence, at / 1e6)
    told += feedback.feedback(arrivals[-1][1] / 1e6)
    expected = [
        [(received, at) for _, received, at in packets] for packets in case["feedbacks[wideSeq,received,timestampUs]"]
    ]
    read = [_read_arrivals(body, int.from_bytes(body[2:4], "big")) for body in told]
    assert [[(at is not None, (at or 0) * 250) for at in packets] for packets in read] == expected
    assert [int.from_bytes(body[:2], "big") for body in told] == [
        packets[0][0] for packets in case["feedbacks[wideSeq,received,timestampUs]"]
    ]


def test_feedback_is_split_to_fit_a_packet() -> None:
    feedback = TransportCc()
    for sequence in range(65000, 67000):
        feedback.received(sequence & 0xFFFF, sequence * 0.0001)
    bodies = feedback.feedback(6.7)
    assert sum(int.from_bytes(body[2:4], "big") for body in bodies) == 2000
    assert max(len(body) for body in bodies) < 1000
    assert [body[7] for body in bodies] == list(range(5))
    assert feedback.feedback(6.8) == []


def test_feedback_goes_on_after_the_loop_stood_still() -> None:
    """A process that was stopped for a while finds arrivals further apart than one feedback can say."""
    feedback = TransportCc()
    feedback.received(1, 100.0)
    feedback.received(3, 109.0)
    feedback.received(2, 100.0)
    bodies = feedback.feedback(109.1)
    read = [_read_arrivals(body, int.from_bytes(body[2:4], "big")) for body in bodies]
    assert [[at is not None and at / TICKS for at in body] for body in read] == [[100.0, 100.0], [109.0]]
    feedback.received(4, 109.2)
    assert len(feedback.feedback(109.3)) == 1


def test_a_sender_that_skips_numbers_does_not_make_us_count_them_all() -> None:
    feedback = TransportCc()
    for step in range(200):
        feedback.received(step * 1000 & 0xFFFF, step * 0.0005)
    assert sum(int.from_bytes(body[2:4], "big") for body in feedback.feedback(0.1)) <= 5000


def test_a_jump_of_transport_wide_numbers_is_not_filled_with_losses() -> None:
    feedback = TransportCc()
    feedback.received(1, 0.0)
    feedback.received(30000, 0.01)
    (body,) = feedback.feedback(0.1)
    assert (int.from_bytes(body[:2], "big"), int.from_bytes(body[2:4], "big")) == (30000, 1)


@pytest.mark.usefixtures("each_core")
@pytest.mark.parametrize(
    "case",
    [case for case in corpora.table("seq_manager") if case["bits"] == 16 and not any(s["drop"] for s in case["steps"])],
    ids=lambda case: case["name"],
)
def test_numbers_go_on_over_a_resume_as_in_mediasoups_sequence_manager(case: dict) -> None:
    """`sync` is a pause and a resume. Cases with drops are of layers, which this plane has not."""
    plane = VirtualPlane()
    publisher, viewer = plane.client("publisher"), plane.client("viewer")
    viewer.consume("consumer", publisher.produce("producer"), first_sequence=case["steps"][0]["output"])
    for step in case["steps"]:
        if step["sync"]:
            plane.order(seat.PauseConsumer("consumer"))
            plane.order(seat.ResumeConsumer("consumer"))
        publisher.media(step["input"], KEY_FRAME)
    assert sequences(viewer) == [step["output"] for step in case["steps"]]


@pytest.mark.usefixtures("each_core")
def test_retransmissions_are_reported_as_a_stream_of_their_own_in_the_second_in_which_they_came() -> None:
    plane, publisher, _ = call()
    publisher.frames(100, 5)

    def reported() -> list[rtcp.Rtcp]:
        before = len(publisher.rtcp)
        plane.after(1.02)
        return [each for each in publisher.rtcp[before:] if isinstance(each, rtcp.Report) and each.ssrc == 2222]

    assert reported() == []
    for sequence in (700, 701, 703):
        publisher.media(sequence, b"\0\x63" + KEY_FRAME, ssrc=2222, payload_type=97)
    assert reported() == [rtcp.Report(2222, 64, 1, 703, 0, 0, 0)]
    assert reported() == []
    publisher.media(704, b"\0\x63" + KEY_FRAME, ssrc=2222, payload_type=97)
    assert reported() == [rtcp.Report(2222, 0, 1, 704, 0, 0, 0)]
