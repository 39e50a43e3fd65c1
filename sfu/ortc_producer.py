"""From what a producer sends to what can be consumed of it.

A producer speaks with its browser's payload types, extension ids and ssrcs. Inside the router everything has the router's
own, so the mapping is settled once, here, and consumers of all producers see one numbering.
"""

from collections.abc import Callable
from typing import NamedTuple

from sfu.codec_matching import is_rtx, matches, name
from sfu.errors import InvalidRtpParameters, UnsupportedCodec
from sfu.h264 import PROFILE_LEVEL_ID, answer_profile_level_id
from sfu.json_fields import shown
from sfu.ortc_shapes import (
    CodecMapping,
    EncodingMapping,
    RtpCapabilitiesJson,
    RtpCodecCapabilityJson,
    RtpCodecJson,
    RtpEncodingJson,
    RtpHeaderExtensionJson,
    RtpMapping,
    RtpParametersJson,
)
from sfu.ortc_streams import ProducerType, check_streams, producer_type
from sfu.ortc_validation import validate_rtp_parameters
from sfu.supported import ABS_CAPTURE_TIME

RandomSsrc = Callable[[], int]
"""Draws the first of a run of ssrcs, 100,000,000 to 999,999,998: low enough that the run stays below 2^32."""


class NegotiatedProducer(NamedTuple):
    """Everything a producer is made from. `rtp_parameters` is what the router agreed to receive."""

    type: ProducerType
    rtp_parameters: RtpParametersJson
    mapping: RtpMapping
    consumable: RtpParametersJson


def negotiate_producer(kind: str, params: object, caps: RtpCapabilitiesJson, random: RandomSsrc) -> NegotiatedProducer:
    """Judge what a producer wants to send to a router and settle how it is called there.

    Raises InvalidRtpParameters, UnsupportedCodec. Source: mediasoup `transport.produce`.
    """
    given = validate_rtp_parameters(params)
    if not given["encodings"]:
        given["encodings"] = [{"dtx": False}]
    check_streams(kind, given)
    mapping = producer_rtp_mapping(given, caps, random)
    _check_codecs_stay_apart(mapping)
    agreed = agreed_rtp_parameters(given, caps)
    consumable = consumable_rtp_parameters(kind, agreed, caps, mapping)
    return NegotiatedProducer(producer_type(agreed), agreed, mapping, consumable)


def producer_rtp_mapping(params: RtpParametersJson, caps: RtpCapabilitiesJson, random: RandomSsrc) -> RtpMapping:
    """Return how each codec and stream of valid parameters is called in a router with these capabilities.

    Media codecs come first, then retransmissions; ssrcs are consecutive from a random one.
    Raises UnsupportedCodec, InvalidRtpParameters (retransmission of a codec that is not sent).
    """
    settled = [(codec, _router_codec(codec, caps)) for codec in params["codecs"] if not is_rtx(codec)]
    for codec in params["codecs"]:
        if is_rtx(codec):
            settled.append((codec, _router_retransmission(codec, params, settled, caps)))
    codecs: list[CodecMapping] = [
        {"payloadType": codec["payloadType"], "mappedPayloadType": router_codec["preferredPayloadType"]}
        for codec, router_codec in settled
    ]
    first = random()
    encodings = [_mapped_stream(encoding, first + index) for index, encoding in enumerate(params["encodings"])]
    return {"codecs": codecs, "encodings": encodings}


def agreed_rtp_parameters(params: RtpParametersJson, caps: RtpCapabilitiesJson) -> RtpParametersJson:
    """Return the parameters with the H.264 level both sides manage; to agree twice is to agree once.

    Raises UnsupportedCodec.
    """
    codecs = [codec if is_rtx(codec) else _agreed(codec, _router_codec(codec, caps)) for codec in params["codecs"]]
    return {**params, "codecs": codecs}


def consumable_rtp_parameters(
    kind: str, params: RtpParametersJson, caps: RtpCapabilitiesJson, mapping: RtpMapping
) -> RtpParametersJson:
    """Return what consumers can choose from: the router's numbers and feedback, the producer's codec parameters.

    Every codec comes with the router's retransmission, whether or not the producer repeats; the router does.
    """
    mapped = {entry["payloadType"]: entry["mappedPayloadType"] for entry in reversed(mapping["codecs"])}
    router_codecs = {codec["preferredPayloadType"]: codec for codec in caps["codecs"]}
    codecs: list[RtpCodecJson] = []
    for codec in params["codecs"]:
        if not is_rtx(codec):
            router_codec = router_codecs[mapped[codec["payloadType"]]]
            codecs.append({**_in_use(router_codec), "parameters": _agreed(codec, router_codec)["parameters"]})
            codecs.extend(_in_use(retransmission) for retransmission in _retransmissions_of(router_codec, caps)[:1])
    consumable: RtpParametersJson = {
        "codecs": codecs,
        "headerExtensions": _sent_extensions(kind, params, caps),
        "encodings": [
            _consumable_stream(encoding, stream["mappedSsrc"])
            for encoding, stream in zip(params["encodings"], mapping["encodings"], strict=True)
        ],
        "rtcp": {"reducedSize": True},
    }
    if "cname" in params["rtcp"]:
        consumable["rtcp"]["cname"] = params["rtcp"]["cname"]
    if "msid" in params:
        consumable["msid"] = params["msid"]
    return consumable


def _check_codecs_stay_apart(mapping: RtpMapping) -> None:
    """Refuse two codecs that are one to the router: their consumers would get the same payload type twice."""
    mapped = [codec["mappedPayloadType"] for codec in mapping["codecs"]]
    if len(set(mapped)) < len(mapped):
        raise InvalidRtpParameters("params.codecs has a codec twice")


def _router_codec(codec: RtpCodecJson, caps: RtpCapabilitiesJson) -> RtpCodecCapabilityJson:
    for router_codec in caps["codecs"]:
        if matches(codec, router_codec):
            return router_codec
    raise UnsupportedCodec(
        f"unsupported codec [mimeType:{codec['mimeType']}, payloadType:{shown(codec['payloadType'])}]"
    )


def _router_retransmission(
    codec: RtpCodecJson,
    params: RtpParametersJson,
    settled: list[tuple[RtpCodecJson, RtpCodecCapabilityJson]],
    caps: RtpCapabilitiesJson,
) -> RtpCodecCapabilityJson:
    """Return the router's retransmission of the codec that a retransmission codec repairs."""
    repaired = next((c for c in params["codecs"] if c["payloadType"] == codec["parameters"].get("apt")), None)
    router_codec = next((theirs for ours, theirs in settled if ours is repaired), None)
    if router_codec is None:
        raise InvalidRtpParameters(f"missing media codec found for RTX PT {shown(codec['payloadType'])}")
    for retransmission in _retransmissions_of(router_codec, caps):
        return retransmission
    raise UnsupportedCodec(f"no RTX codec for capability codec PT {shown(router_codec['preferredPayloadType'])}")


def _retransmissions_of(codec: RtpCodecCapabilityJson, caps: RtpCapabilitiesJson) -> list[RtpCodecCapabilityJson]:
    payload_type = codec["preferredPayloadType"]
    return [other for other in caps["codecs"] if is_rtx(other) and other["parameters"].get("apt") == payload_type]


def _agreed(codec: RtpCodecJson, router_codec: RtpCodecCapabilityJson) -> RtpCodecJson:
    """Return the producer's codec, with the answered profile and level where it is H.264."""
    if name(codec) != "video/h264":
        return codec
    answer = answer_profile_level_id(codec["parameters"], router_codec["parameters"])
    parameters = {key: value for key, value in codec["parameters"].items() if key != PROFILE_LEVEL_ID}
    return {**codec, "parameters": parameters | ({PROFILE_LEVEL_ID: answer} if answer else {})}


def _mapped_stream(encoding: RtpEncodingJson, ssrc: int) -> EncodingMapping:
    stream: EncodingMapping = {"mappedSsrc": ssrc}
    if "rid" in encoding:
        stream["rid"] = encoding["rid"]
    if "ssrc" in encoding:
        stream["ssrc"] = encoding["ssrc"]
    return stream


def _in_use(codec: RtpCodecCapabilityJson) -> RtpCodecJson:
    """Return a router's codec as a consumer receives it."""
    in_use: RtpCodecJson = {
        "mimeType": codec["mimeType"],
        "payloadType": codec["preferredPayloadType"],
        "clockRate": codec["clockRate"],
        "parameters": codec["parameters"],
        "rtcpFeedback": codec["rtcpFeedback"],
    }
    if "channels" in codec:
        in_use["channels"] = codec["channels"]
    return in_use


def _sent_extensions(kind: str, params: RtpParametersJson, caps: RtpCapabilitiesJson) -> list[RtpHeaderExtensionJson]:
    """Return the extensions a router sends with this kind; a capture time only if the producer states one."""
    has_capture_time = any(extension["uri"] == ABS_CAPTURE_TIME for extension in params["headerExtensions"])
    return [
        {
            "uri": extension["uri"],
            "id": extension["preferredId"],
            "encrypt": extension["preferredEncrypt"],
            "parameters": {},
        }
        for extension in caps["headerExtensions"]
        if extension["kind"] == kind
        and extension["direction"] in ("sendrecv", "sendonly")
        and (has_capture_time or extension["uri"] != ABS_CAPTURE_TIME)
    ]


def _consumable_stream(encoding: RtpEncodingJson, ssrc: int) -> RtpEncodingJson:
    """Return a producer's stream under the router's ssrc, without what only the producer's packets are told apart by."""
    stream: RtpEncodingJson = {**encoding, "ssrc": ssrc}
    stream.pop("rid", None)
    stream.pop("rtx", None)
    stream.pop("codecPayloadType", None)
    return stream
