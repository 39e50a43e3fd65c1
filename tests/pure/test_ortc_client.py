"""What mediasoup-client sends is understood, and what it derives from a browser's offer can consume."""

from typing import Any

import pytest

from contracts.rtp import DtlsParameters, IceCandidate, IceParameters, RtpCapabilities, RtpParameters
from sfu import ortc
from tests.pure.ortc_vectors import numbered, vectors

STEPS = vectors("client_traces")["steps"]
LOAD = next(step for step in STEPS if step["step"] == "device.load")
ROUTER = LOAD["in"]["routerRtpCapabilities"]
PRODUCED = [step["payload"] for step in STEPS if step["step"] == "event produce"]
NATIVE = {case["name"]: case for case in vectors("client_native_caps_from_sdp")["cases"]}
OUR_ROUTER = ortc.router_rtp_capabilities()


def consumable(kind: str) -> Any:
    """Return what is consumable of what the client produced of this kind."""
    produced = next(payload for payload in PRODUCED if payload["kind"] == kind)
    return ortc.negotiate_producer(kind, produced["rtpParameters"], ROUTER, numbered()).consumable


@pytest.mark.parametrize("produced", PRODUCED, ids=lambda payload: payload["kind"])
def test_what_the_client_produces_survives_the_contract_untouched(produced: dict[str, Any]) -> None:
    assert RtpParameters.model_validate(produced["rtpParameters"]).as_json() == produced["rtpParameters"]


@pytest.mark.parametrize("produced", PRODUCED, ids=lambda payload: payload["kind"])
def test_what_the_client_produces_is_valid_already(produced: dict[str, Any]) -> None:
    assert ortc.validate_rtp_parameters(produced["rtpParameters"]) == produced["rtpParameters"]


@pytest.mark.parametrize("produced", PRODUCED, ids=lambda payload: payload["kind"])
def test_what_the_client_produces_can_be_consumed_by_the_client(produced: dict[str, Any]) -> None:
    caps = RtpCapabilities.model_validate(LOAD["out"]["recvRtpCapabilities"]).as_json()
    assert caps == LOAD["out"]["recvRtpCapabilities"]
    offered = consumable(produced["kind"])
    assert ortc.can_consume(offered, caps)
    consumer = ortc.consumer_rtp_parameters(offered, caps, numbered())
    assert consumer["codecs"][0]["mimeType"] == produced["rtpParameters"]["codecs"][0]["mimeType"]
    assert consumer["rtcp"] == {"cname": produced["rtpParameters"]["rtcp"]["cname"], "reducedSize": True}
    assert consumer["msid"] == produced["rtpParameters"]["msid"]


def test_two_streams_with_ssrcs_are_simulcast() -> None:
    produced = next(payload for payload in PRODUCED if payload["kind"] == "video")
    negotiated = ortc.negotiate_producer("video", produced["rtpParameters"], ROUTER, numbered())
    assert negotiated.type == "simulcast"
    assert negotiated.mapping["encodings"] == [
        {"ssrc": 5995380, "mappedSsrc": 100_000_000},
        {"ssrc": 2832107, "mappedSsrc": 100_000_001},
    ]


def test_data_channels_of_the_client_are_valid_already() -> None:
    payloads = [step["payload"]["sctpStreamParameters"] for step in STEPS if step["step"] == "event producedata"]
    assert len(payloads) == 2
    assert [ortc.validate_sctp_stream_parameters(payload) for payload in payloads] == payloads


def test_the_client_says_with_which_certificate_it_connects() -> None:
    payloads = [step["payload"]["dtlsParameters"] for step in STEPS if "event connect" in step["step"]]
    assert [DtlsParameters.model_validate(payload).role for payload in payloads] == ["server", "client"]


def test_a_transport_is_described_as_the_client_wants_it() -> None:
    given = next(step["in"] for step in STEPS if step["step"].startswith("SDP offer"))
    assert IceParameters.model_validate(given["iceParameters"]).model_dump(by_alias=True) == given["iceParameters"]
    candidates = [IceCandidate.model_validate(candidate) for candidate in given["iceCandidates"]]
    assert [c.model_dump(by_alias=True, exclude_none=True) for c in candidates] == given["iceCandidates"]


@pytest.mark.parametrize("name", NATIVE)
def test_capabilities_of_any_browser_are_normalised(name: str) -> None:
    caps = NATIVE[name]["nativeRtpCapabilities"]
    assert RtpCapabilities.model_validate(caps).as_json() == caps
    normalised = ortc.validate_rtp_capabilities(caps)
    assert ortc.validate_rtp_capabilities(normalised) == normalised
    assert len(normalised["codecs"]) == len(caps["codecs"])


def test_fingerprints_of_any_browser_are_kept() -> None:
    with_dtls = [case["dtlsParameters"] for case in NATIVE.values() if case["dtlsParameters"] is not None]
    assert len(with_dtls) >= 8
    assert [DtlsParameters.model_validate(given).model_dump() for given in with_dtls] == with_dtls


@pytest.mark.parametrize(
    ("name", "opus", "vp8"),
    [
        ("test_audio_chrome", True, False),
        ("test_audio_firefox", True, False),
        ("test_audio_freeswitch", False, False),
        ("test_video_chrome", False, True),
        ("test_video_firefox", False, True),
        ("test_safari", True, True),
    ],
)
def test_a_browser_consumes_what_it_offers_to_receive(name: str, opus: bool, vp8: bool) -> None:
    caps = NATIVE[name]["nativeRtpCapabilities"]
    assert ortc.can_consume(consumable("audio"), caps) is opus
    assert ortc.can_consume(consumable("video"), caps) is vp8


def test_safari_consumes_each_h264_profile_it_offers() -> None:
    caps = NATIVE["test_safari"]["nativeRtpCapabilities"]
    offered = [codec for codec in caps["codecs"] if codec["mimeType"] == "video/H264"]
    router = ortc.router_rtp_capabilities(
        [{name: codec[name] for name in ("kind", "mimeType", "clockRate", "parameters")} for codec in offered]
    )
    for codec in offered:
        params = {"mid": "0", "codecs": [codec | {"payloadType": codec["preferredPayloadType"]}]}
        negotiated = ortc.negotiate_producer("video", params, router, numbered())
        consumer = ortc.consumer_rtp_parameters(negotiated.consumable, caps, numbered())
        assert consumer["codecs"][0]["parameters"]["profile-level-id"] == codec["parameters"]["profile-level-id"]


def test_our_router_has_a_payload_type_for_every_codec_as_the_client_demands() -> None:
    payload_types = [codec["preferredPayloadType"] for codec in OUR_ROUTER["codecs"]]
    assert len(set(payload_types)) == len(payload_types)
    assert [codec["mimeType"] for codec in OUR_ROUTER["codecs"] if not codec["mimeType"].endswith("rtx")] == [
        "audio/opus",
        "video/VP8",
        "video/VP9",
        "video/H264",
        "video/AV1",
    ]
