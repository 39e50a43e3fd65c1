"""Chromium and Firefox can meet: what each really sends through a router of ours, and what each really can receive.

The parameters were taken from mediasoup-client in both browsers; see `tests/vectors/ortc/README.md`.
"""

from typing import Any

import pytest

from contracts.rtp import RtpCapabilities, RtpParameters
from sfu import ortc
from sfu.supported import ABS_SEND_TIME, MID, SSRC_AUDIO_LEVEL, TRANSPORT_WIDE_CC
from tests.pure.ortc_vectors import numbered, vectors

TABLE = vectors("browsers")
BROWSERS: dict[str, dict[str, Any]] = {browser["name"]: browser for browser in TABLE["browsers"]}
ROUTER = ortc.router_rtp_capabilities()
PRODUCED = [(name, produced) for name, browser in BROWSERS.items() for produced in browser["produced"]]


def named(value: object) -> str:
    return str(value["name"] + " " + value["kind"]) if isinstance(value, dict) else str(value)


def produce(produced: dict[str, Any]) -> ortc.NegotiatedProducer:
    """Negotiate as a transport does, through the contract."""
    params = RtpParameters.model_validate(produced["rtpParameters"]).as_json()
    return ortc.negotiate_producer(produced["kind"], params, ROUTER, numbered())


def find(browser: str, name: str, kind: str = "video") -> dict[str, Any]:
    return next(p for p in BROWSERS[browser]["produced"] if (p["name"], p["kind"]) == (name, kind))


def feedback(codec: Any) -> set[str]:
    return {f"{one['type']} {one['parameter']}".strip() for one in codec["rtcpFeedback"]}


def test_our_router_still_offers_what_the_browsers_were_loaded_with() -> None:
    assert TABLE["routerRtpCapabilities"] == ROUTER


@pytest.mark.parametrize(("sender", "produced"), PRODUCED, ids=named)
def test_everything_a_browser_sends_is_accepted(sender: str, produced: dict[str, Any]) -> None:
    assert RtpParameters.model_validate(produced["rtpParameters"]).as_json() == produced["rtpParameters"]
    negotiated = produce(produced)
    mapped = [stream["mappedSsrc"] for stream in negotiated.mapping["encodings"]]
    assert mapped == [stream["ssrc"] for stream in negotiated.consumable["encodings"]]
    assert len(mapped) == len(produced["rtpParameters"]["encodings"])


@pytest.mark.parametrize("receiver", BROWSERS)
@pytest.mark.parametrize(("sender", "produced"), PRODUCED, ids=named)
def test_a_browser_receives_what_it_has_the_codec_for(sender: str, produced: dict[str, Any], receiver: str) -> None:
    caps = BROWSERS[receiver]["recvRtpCapabilities"]
    assert RtpCapabilities.model_validate(caps).as_json() == caps
    consumable = produce(produced).consumable
    knows = {codec["mimeType"] for codec in caps["codecs"]}
    codec = consumable["codecs"][0]["mimeType"]
    assert ortc.can_consume(consumable, caps) is (codec in knows)
    if codec in knows:
        consumer = ortc.consumer_rtp_parameters(consumable, caps, numbered(), enable_rtx=produced["kind"] == "video")
        assert [c["mimeType"] for c in consumer["codecs"]] == [codec, "video/rtx"][: 1 + (produced["kind"] == "video")]
        assert {c["payloadType"] for c in consumer["codecs"]} <= {c["preferredPayloadType"] for c in caps["codecs"]}
        assert RtpParameters.model_validate(consumer).as_json() == consumer


def test_firefox_has_no_h264_and_is_told_so() -> None:
    consumable = produce(find("chromium", "video/H264")).consumable
    assert not ortc.can_consume(consumable, BROWSERS["firefox"]["recvRtpCapabilities"])


def test_a_camera_of_chromium_reaches_firefox_with_retransmission_and_transport_cc() -> None:
    consumable = produce(find("chromium", "microphone and camera")).consumable
    consumer = ortc.consumer_rtp_parameters(consumable, BROWSERS["firefox"]["recvRtpCapabilities"], numbered())
    assert [(codec["mimeType"], codec["payloadType"]) for codec in consumer["codecs"]] == [
        ("video/VP8", 101),
        ("video/rtx", 102),
    ]
    assert feedback(consumer["codecs"][0]) == {"nack", "nack pli", "ccm fir", "transport-cc"}
    assert consumer["encodings"] == [{"ssrc": 100_000_000, "rtx": {"ssrc": 100_000_001}}]
    assert {MID, TRANSPORT_WIDE_CC} <= {extension["uri"] for extension in consumer["headerExtensions"]}


def test_a_plane_that_cannot_read_transport_cc_gets_remb_from_its_receivers() -> None:
    router = ortc.router_rtp_capabilities(transport_cc_to_consumers=False)
    negotiated = ortc.negotiate_producer(
        "video", find("chromium", "microphone and camera")["rtpParameters"], router, numbered()
    )
    consumer = ortc.consumer_rtp_parameters(
        negotiated.consumable, BROWSERS["firefox"]["recvRtpCapabilities"], numbered()
    )
    assert feedback(consumer["codecs"][0]) == {"nack", "nack pli", "ccm fir", "goog-remb"}
    uris = {extension["uri"] for extension in consumer["headerExtensions"]}
    assert ABS_SEND_TIME in uris
    assert TRANSPORT_WIDE_CC not in uris


@pytest.mark.parametrize("sender", BROWSERS)
def test_a_microphone_carries_its_level_and_the_codecs_own_parameters(sender: str) -> None:
    produced = find(sender, "microphone and camera", "audio")
    consumable = produce(produced).consumable
    consumer = ortc.consumer_rtp_parameters(
        consumable, BROWSERS["chromium"]["recvRtpCapabilities"], numbered(), enable_rtx=False
    )
    assert consumer["codecs"][0]["parameters"] == produced["rtpParameters"]["codecs"][0]["parameters"]
    assert SSRC_AUDIO_LEVEL in {extension["uri"] for extension in consumer["headerExtensions"]}
    assert consumer["msid"] == produced["rtpParameters"]["msid"]


@pytest.mark.parametrize("sender", BROWSERS)
def test_simulcast_becomes_one_stream_with_a_spatial_layer_for_each(sender: str) -> None:
    negotiated = produce(find(sender, "simulcast"))
    assert negotiated.type == "simulcast"
    assert [stream["rid"] for stream in negotiated.mapping["encodings"]] == ["r0", "r1", "r2"]
    consumer = ortc.consumer_rtp_parameters(
        negotiated.consumable, BROWSERS["chromium"]["recvRtpCapabilities"], numbered()
    )
    (stream,) = consumer["encodings"]
    assert stream["scalabilityMode"] == "L3T3"
    assert stream["maxBitrate"] == 1_500_000


def test_layers_in_one_stream_are_svc() -> None:
    assert produce(find("chromium", "VP9 in layers")).type == "svc"
    assert produce(find("firefox", "microphone and camera")).type == "simple"
