"""What a router offers: the codecs it was made for, under payload types it hands out itself."""

from collections.abc import Iterator
from typing import Final

from sfu.codec_matching import is_known_as
from sfu.errors import InvalidRtpParameters, InvalidState, UnsupportedCodec
from sfu.json_fields import is_number
from sfu.ortc_shapes import (
    RtpCapabilitiesJson,
    RtpCodecCapabilityJson,
    RtpHeaderExtensionCapabilityJson,
)
from sfu.ortc_validation import validate_rtp_codec_capability
from sfu.supported import DYNAMIC_PAYLOAD_TYPES, SUPPORTED_RTP_CAPABILITIES, TRANSPORT_WIDE_CC, audio, video

DEFAULT_CODECS: Final[tuple[RtpCodecCapabilityJson, ...]] = (
    audio("opus", 48000, channels=2),
    video("VP8"),
    video("VP9", {"profile-id": 0}),
    video("H264", {"packetization-mode": 1, "profile-level-id": "42e01f", "level-asymmetry-allowed": 1}),
    video("AV1"),
)
"""What every browser of today sends and receives, the best supported first."""


def router_rtp_capabilities(
    media_codecs: object = DEFAULT_CODECS, *, transport_cc_to_consumers: bool = True
) -> RtpCapabilitiesJson:
    """Return the capabilities of a router for these codecs: each with a payload type, video with retransmission.

    A codec may ask for a payload type and add parameters; its feedback and the header extensions are the supported ones.
    `transport_cc_to_consumers` is False for a packet plane that cannot estimate from transport-cc feedback: consumers
    then answer with REMB. Raises InvalidRtpParameters, UnsupportedCodec, InvalidState (no payload type is left).
    """
    if not isinstance(media_codecs, list | tuple):
        raise InvalidRtpParameters("mediaCodecs must be an Array")
    free = list(DYNAMIC_PAYLOAD_TYPES)
    codecs: list[RtpCodecCapabilityJson] = []
    for media_codec in media_codecs:
        codec = _offered(validate_rtp_codec_capability(media_codec), free)
        if codec["preferredPayloadType"] in {other["preferredPayloadType"] for other in codecs}:
            raise InvalidRtpParameters("duplicated codec.preferredPayloadType")
        codecs.append(codec)
        if codec["kind"] == "video":
            codecs.append(_retransmission_of(codec, free))
    return {"codecs": codecs, "headerExtensions": list(_header_extensions(transport_cc_to_consumers))}


def _offered(wanted: RtpCodecCapabilityJson, free: list[int]) -> RtpCodecCapabilityJson:
    """Return the supported codec with what was wanted on top, and take its payload type out of the free ones."""
    supported = next((codec for codec in SUPPORTED_RTP_CAPABILITIES["codecs"] if is_known_as(wanted, codec)), None)
    if supported is None:
        raise UnsupportedCodec(f"media codec not supported [mimeType:{wanted['mimeType']}]")
    if is_number(wanted.get("preferredPayloadType")):
        payload_type = wanted["preferredPayloadType"]
        if payload_type in free:
            free.remove(payload_type)
    elif "preferredPayloadType" in supported:
        payload_type = supported["preferredPayloadType"]
    else:
        payload_type = _next_of(free)
    return {
        **supported,
        "preferredPayloadType": payload_type,
        "parameters": supported["parameters"] | wanted["parameters"],
    }


def _retransmission_of(codec: RtpCodecCapabilityJson, free: list[int]) -> RtpCodecCapabilityJson:
    return {
        "kind": codec["kind"],
        "mimeType": f"{codec['kind']}/rtx",
        "preferredPayloadType": _next_of(free),
        "clockRate": codec["clockRate"],
        "parameters": {"apt": codec["preferredPayloadType"]},
        "rtcpFeedback": [],
    }


def _next_of(free: list[int]) -> int:
    if not free:
        raise InvalidState("cannot allocate more dynamic codec payload types")
    return free.pop(0)


def _header_extensions(transport_cc_to_consumers: bool) -> Iterator[RtpHeaderExtensionCapabilityJson]:
    for extension in SUPPORTED_RTP_CAPABILITIES["headerExtensions"]:
        if extension["uri"] == TRANSPORT_WIDE_CC and not transport_cc_to_consumers:
            yield {**extension, "direction": "recvonly"}
        else:
            yield {**extension}
