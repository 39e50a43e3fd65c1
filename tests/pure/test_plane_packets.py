"""What is on the wire, against packets of other projects and against itself."""

import pytest
from aioice.stun import parse_message
from hypothesis import given
from hypothesis import strategies as st

from sfu.packets import payload, rtcp, rtp, stun
from sfu.packets.transport_cc import write_feedback
from tests.pure import corpora

extension = st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16))
large_extension = st.tuples(st.integers(1, 255), st.binary(max_size=40))
number16, number32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)


def named(case: dict) -> dict:
    """Return what a case of mediasoup's expects of an RTP packet, under our names."""
    expected = case.get("expect", {})
    expected = expected.get("fields", expected)
    names = {
        "payloadType": "payload_type", "PayloadType": "payload_type", "seqNumber": "sequence", "SequenceNumber": "sequence",
        "seq": "sequence", "timestamp": "timestamp", "Timestamp": "timestamp", "ssrc": "ssrc", "Ssrc": "ssrc",
        "hasMarker": "marker", "HasMarker": "marker",
    }  # fmt: skip
    return {ours: expected[theirs] for theirs, ours in names.items() if theirs in expected}


@pytest.mark.parametrize("case", corpora.table("rtp_packets") + corpora.table("raw_files"), ids=str)
def test_rtp_packets_are_read_as_mediasoup_reads_them(case: dict) -> None:
    packet = rtp.parse(bytes.fromhex(case["hex"]))
    assert packet is not None
    assert {name: getattr(packet, name) for name in named(case)} == named(case)
    for number, value in case.get("expect", {}).get("extensions", {}).items():
        assert packet.extension(int(number)) == bytes.fromhex(value)


def test_extensions_of_the_two_byte_form_may_be_empty() -> None:
    packet = rtp.parse(bytes.fromhex("9001000800000004000000051000000400000100020142000302112200000400"))
    assert packet is not None
    assert packet.extensions == [(1, b""), (2, b"B"), (3, b"\x11\x22"), (4, b"")]


def test_padding_is_cut_off_and_padding_that_lies_makes_no_packet() -> None:
    packets = corpora.binary("aiortc")
    padded = rtp.parse(packets["rtp_only_padding"])
    assert padded is not None
    assert padded.payload == b""
    assert rtp.parse(packets["rtp_only_padding"][:-1] + b"\0") is None
    assert rtp.parse(packets["rtp_only_padding"][:-1] + b"\xff") is None


def test_twenty_elements_of_a_block_are_read_and_no_more() -> None:
    head = rtp.RtpPacket(False, 96, 1, 0, 1111, b"", [], b"payload")
    packet = rtp.parse(rtp.write(head, 96, 1, 1111, [(number % 14 + 1, b"x") for number in range(580)]))
    assert packet is not None
    assert [each for each, _ in packet.extensions] == [*range(1, 15), *range(1, 7)]
    assert packet.payload == b"payload"


def test_an_element_that_does_not_fit_its_block_ends_the_block() -> None:
    packet = rtp.parse(bytes.fromhex("906f00010000000100000005" + "bede0001" + "1007" + "2fff") + b"payload")
    assert packet is not None
    assert packet.extensions == [(1, b"\x07")]
    assert packet.payload == b"payload"


@given(
    st.integers(0, 255), number16, number32, st.binary(max_size=60), st.lists(extension | large_extension, max_size=20)
)
def test_what_is_written_is_read_again(second, sequence, number, content, extensions) -> None:
    marker, payload_type = second > 127, second & 0x7F
    packet = rtp.RtpPacket(marker, 0, 0, number, 0, b"cccc" * (number % 3), [], content)
    read = rtp.parse(rtp.write(packet, payload_type, sequence, number, extensions))
    assert read is not None
    assert (read.marker, read.payload_type, read.sequence, read.timestamp) == (marker, payload_type, sequence, number)
    assert (read.csrcs, read.payload, read.extensions) == (packet.csrcs, content, extensions)


@given(number16, number16, st.binary(max_size=60), st.lists(extension, max_size=20))
def test_a_retransmission_holds_the_original_number_before_the_payload(original, sequence, content, extensions) -> None:
    sent = rtp.write(rtp.RtpPacket(True, 0, 0, 77, 0, b"cccc", [], content), 101, original, 5, extensions)
    read = rtp.parse(rtp.write_rtx(sent, 102, sequence, 6))
    assert read is not None
    assert (read.payload_type, read.sequence, read.ssrc, read.timestamp, read.marker) == (102, sequence, 6, 77, True)
    assert read.payload == original.to_bytes(2, "big") + content
    assert (read.extensions, read.csrcs) == (extensions, b"cccc")


def test_captured_rtcp_is_read() -> None:
    packets = corpora.binary("aiortc")
    (report,) = rtcp.parse(packets["rtcp_rr"])
    assert isinstance(report, rtcp.Report)
    assert (report.ssrc, report.fraction_lost, report.lost, report.highest) == (1200895919, 0, 0, 630)
    sender, received = rtcp.parse(packets["rtcp_sr"])
    assert isinstance(sender, rtcp.SenderReport)
    assert isinstance(received, rtcp.Report)
    (wanted,) = rtcp.parse(packets["rtcp_psfb_pli"])
    assert isinstance(wanted, rtcp.KeyFrameRequest)
    assert not wanted.full
    (nack,) = rtcp.parse(packets["rtcp_rtpfb"])
    assert isinstance(nack, rtcp.Nack)
    assert len(nack.sequences) > 10
    assert list(rtcp.parse(packets["rtcp_bye"])) == [rtcp.Goodbye((2924645187,))]
    assert list(rtcp.parse(packets["rtcp_bye_no_sources"])) == [rtcp.Goodbye(())]
    for name in ("rtcp_bye_invalid", "rtcp_rr_invalid", "rtcp_sr_invalid", "rtcp_rtpfb_invalid", "rtcp_psfb_invalid"):
        assert list(rtcp.parse(packets[name])) == []


def test_mediasoups_feedback_packets_are_read() -> None:
    by_name = {case["name"]: bytes.fromhex(case["hex"]) for case in corpora.table("rtcp_packets")}
    fir = next(data for name, data in by_name.items() if "PS FIR" in name)
    assert list(rtcp.parse(fir)) == [rtcp.KeyFrameRequest(0x02D03702, full=True)]
    pli = next(data for name, data in by_name.items() if "RTP PLI" in name)
    assert list(rtcp.parse(pli)) == [rtcp.KeyFrameRequest(53525998, full=False)]
    bye = next(data for name, data in by_name.items() if "ByePacket::Parse() succeeds" in name)
    assert list(rtcp.parse(bye)) == [rtcp.Goodbye((0x0010F447, 0x0021E88E, 0x00BC614E))]
    lossy = next(data for name, data in by_name.items() if "single report" in name)
    (report,) = rtcp.parse(lossy)
    assert isinstance(report, rtcp.Report)
    assert (report.ssrc, report.lost, report.delay) == (0x01932DB4, -1, 5)


def test_a_length_that_lies_ends_the_compound_and_keeps_what_came_before() -> None:
    good = rtcp.write_key_frame_request(7)
    assert list(rtcp.parse(good + b"\x81\xce\xff\xff" + bytes(8))) == [rtcp.KeyFrameRequest(7, full=False)]


@given(st.sets(number16, max_size=200), number32)
def test_a_nack_names_what_it_was_written_for(sequences: set[int], ssrc: int) -> None:
    (nack,) = rtcp.parse(rtcp.write_nack(ssrc, sorted(sequences)))
    assert isinstance(nack, rtcp.Nack)
    assert nack.ssrc == ssrc
    assert sorted(nack.sequences) == sorted(sequences)


def test_a_nack_over_the_wrap_is_one_item() -> None:
    packet = rtcp.write_nack(5, [65534, 65535, 0, 1])
    assert len(packet) == 16
    (nack,) = rtcp.parse(packet)
    assert isinstance(nack, rtcp.Nack)
    assert nack.sequences == [65534, 65535, 0, 1]


@given(st.lists(st.builds(
    rtcp.Report, number32, st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF), number32, number32, number32, number32
), max_size=70))  # fmt: skip
def test_reports_are_written_31_a_packet_and_read_again(reports: list[rtcp.Report]) -> None:
    packets = list(rtcp.write_receiver_reports(reports))
    assert len(packets) == -(-len(reports) // 31)
    assert [each for packet in packets for each in rtcp.parse(packet)] == reports


@given(number32, st.integers(0, 2**64 - 1), number32, st.text(st.characters(), max_size=300))
def test_a_sender_report_is_a_compound_with_a_cname(ssrc: int, ntp: int, timestamp: int, cname: str) -> None:
    written = rtcp.write_sender_report(rtcp.SenderReport(ssrc, ntp, timestamp), 2**40, 2**40, cname)
    assert len(written) % 4 == 0
    assert list(rtcp.parse(written)) == [rtcp.SenderReport(ssrc, ntp, timestamp)]


@pytest.mark.parametrize(
    ("codec", "mime_type", "mark"),
    [
        ("vp8", "video/VP8", b"\x9d\x01\x2a"),
        ("vp9", "video/VP9", b"\x49\x83\x42"),
        ("h264", "video/H264", b"\x00\x10\x67"),
    ],
)
def test_key_frames_begin_where_the_codec_itself_marks_them(codec: str, mime_type: str, mark: bytes) -> None:
    packets = [rtp.parse(each) for each in corpora.heads(codec)]
    begins = [bool(each and payload.begins_key_frame(mime_type, each.payload)) for each in packets]
    marked = [bool(each and mark in each.payload) for each in packets]
    assert begins[0]
    assert begins == marked


def test_av1_begins_with_a_new_coded_video_sequence() -> None:
    packets = [rtp.parse(each) for each in corpora.heads("av1")]
    assert [bool(each and payload.begins_key_frame("video/AV1", each.payload)) for each in packets[:5]] == [True] + [
        False
    ] * 4


def test_an_sps_in_fragments_begins_a_key_frame_with_its_first_fragment() -> None:
    assert payload.begins_key_frame("video/H264", b"\x7c\x87\0")
    assert not payload.begins_key_frame("video/H264", b"\x7c\x07\0")
    assert not payload.begins_key_frame("video/H264", b"\x7c\x85\0")
    assert payload.begins_key_frame("video/H264", b"\x67\x42\0")


@given(st.sampled_from(["video/VP8", "video/vp9", "video/H264", "video/AV1", "audio/opus"]), st.binary(max_size=40))
def test_any_payload_is_judged_without_a_failure(mime_type: str, content: bytes) -> None:
    assert payload.begins_key_frame(mime_type, content) in (True, False)


def test_mediasoups_stun_request_is_read_and_its_answer_is_authentic() -> None:
    data = bytes.fromhex(corpora.table("stun_packets")[0]["hex"])
    check = stun.parse_check(data)
    assert check is not None
    assert stun.addressee(check) == "78tal5pc6dkyv1rpg56vuay5je13cewm"
    answer = parse_message(stun.success(check, ("192.0.2.1", 4000), "password"))
    assert answer.transaction_id == check.transaction_id
    assert answer.check_message_integrity(b"password")


def request_of_rfc_5769() -> bytes:
    """Return the request of RFC 5769 §2.1; the corpus has it without the 16 bytes of its SOFTWARE."""
    cut = corpora.binary("rfc5769")["rfc5769-reqstc-221"]
    return cut[:24] + b"STUN test client" + cut[24:]


def test_the_request_of_rfc_5769_is_an_authentic_check() -> None:
    check = stun.parse_check(request_of_rfc_5769())
    assert check is not None
    assert stun.addressee(check) == "evtj"
    assert check.check_message_integrity(b"VOkJxbRl1RmTxUk/WvJxBt")
    assert not check.check_message_integrity(b"VOkJxbRl1RmTxUk/WvJxBT")


def test_only_complete_binding_requests_are_checks() -> None:
    packets = corpora.binary("aioice") | corpora.binary("rfc5769") | corpora.binary("found")
    checks = {name for name, data in packets.items() if stun.parse_check(data)}
    assert checks == {"binding_request_ice_controlled", "binding_request_ice_controlling"}


def test_a_wrong_fingerprint_is_no_check() -> None:
    data = bytearray(request_of_rfc_5769())
    data[-1] ^= 1
    assert stun.parse_check(bytes(data)) is None


@given(st.binary(max_size=200) | st.sampled_from(list(corpora.everything())))
def test_no_bytes_make_a_parser_raise(data: bytes) -> None:
    rtp.parse(data)
    list(rtcp.parse(data))
    stun.parse_check(data)


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 4000 * 60)), min_size=1, max_size=400), number16, st.integers(0, 300)
)
def test_feedback_is_read_as_it_was_written(gaps: list[int | None], base: int, count: int) -> None:
    """Read by the draft: chunks until all statuses are there, then a delta for each packet that came."""
    at, arrivals = 1_000_000, []
    for gap in gaps:
        at += (gap or 0) % 2000 - 500
        arrivals.append(None if gap is None else at)
    body = write_feedback(base, arrivals, count)
    assert int.from_bytes(body[:2], "big") == base
    assert int.from_bytes(body[2:4], "big") == len(arrivals)
    assert body[7] == count & 0xFF
    assert _read_arrivals(body, len(arrivals)) == arrivals


def _read_arrivals(body: bytes, count: int) -> list[int | None]:
    now, at = int.from_bytes(body[4:7], "big") * 256, 8
    symbols: list[int] = []
    while len(symbols) < count:
        chunk = int.from_bytes(body[at : at + 2], "big")
        at += 2
        if chunk >> 15:
            assert chunk >> 14 & 1, "one-bit vectors are not written"
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> 13] * (chunk & 0x1FFF)
    arrivals: list[int | None] = []
    for symbol in symbols[:count]:
        size = symbol
        now += int.from_bytes(body[at : at + size], "big", signed=size == 2) if size else 0
        arrivals.append(now if size else None)
        at += size
    assert len(body) - at < 4
    return arrivals
