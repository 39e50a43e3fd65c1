"""What of a producer a receiver gets: what is consumable and what the receiver can do, whichever is less.

A receiver's capabilities come from outside and are judged here. Payload types and extension ids stay the router's; the
ssrcs are new, because every consumer is a stream of its own.
"""

from collections.abc import Callable

from sfu.codec_matching import is_rtx, matches
from sfu.errors import UnsupportedCodec
from sfu.json_fields import is_number
from sfu.ortc_producer import RandomSsrc
from sfu.ortc_shapes import (
    RtcpFeedbackJson,
    RtpCapabilitiesJson,
    RtpCodecJson,
    RtpEncodingJson,
    RtpHeaderExtensionJson,
    RtpParametersJson,
)
from sfu.ortc_validation import validate_rtp_capabilities
from sfu.scalability import parse_scalability_mode
from sfu.supported import ABS_SEND_TIME, DEPENDENCY_DESCRIPTOR, DEPENDENCY_DESCRIPTOR_ID, MID, TRANSPORT_WIDE_CC

NACK = ("nack", "")
PIPED_FEEDBACK = frozenset({("nack", "pli"), ("ccm", "fir")})
NOT_PIPED = frozenset({MID, ABS_SEND_TIME, TRANSPORT_WIDE_CC, DEPENDENCY_DESCRIPTOR})


def can_consume(consumable: RtpParametersJson, caps: object) -> bool:
    """Say whether a receiver with these capabilities can decode any of a producer's codecs.

    Raises InvalidRtpParameters (the capabilities are malformed).
    """
    remote = validate_rtp_capabilities(caps)
    decodable = (codec for codec in consumable["codecs"] if _is_known(codec, remote))
    first = next(decodable, None)
    return first is not None and not is_rtx(first)


def consumer_rtp_parameters(
    consumable: RtpParametersJson,
    remote_caps: object,
    random: RandomSsrc,
    *,
    pipe: bool = False,
    enable_rtx: bool = True,
) -> RtpParametersJson:
    """Return what a consumer sends to a receiver; the transport adds its mid.

    A pipe keeps all the producer's streams, any other consumer is one stream that is switched between them. Without
    `enable_rtx` nothing is retransmitted. Raises InvalidRtpParameters, UnsupportedCodec (the receiver can decode none).
    """
    remote = validate_rtp_capabilities(remote_caps)
    codecs = _decodable(consumable["codecs"], remote, enable_rtx)
    known = {(extension["preferredId"], extension["uri"]) for extension in remote["headerExtensions"]}
    extensions = [ext for ext in consumable["headerExtensions"] if (ext["id"], ext["uri"]) in known]
    has_rtx = any(is_rtx(codec) for codec in codecs)
    streams = _piped_streams if pipe else _switched_stream
    return _received(
        consumable, _with_one_estimator(codecs, extensions), extensions, streams(consumable, random, has_rtx)
    )


def pipe_consumer_rtp_parameters(
    consumable: RtpParametersJson, random: RandomSsrc, *, enable_rtx: bool = False
) -> RtpParametersJson:
    """Return what goes to another router: all streams, and the dependency descriptor, but no bandwidth estimation."""
    wanted = PIPED_FEEDBACK | ({NACK} if enable_rtx else set())
    codecs = [
        _with_feedback(codec, lambda feedback: _kind(feedback) in wanted)
        for codec in consumable["codecs"]
        if enable_rtx or not is_rtx(codec)
    ]
    extensions = [extension for extension in consumable["headerExtensions"] if extension["uri"] not in NOT_PIPED]
    extensions.append(
        {"uri": DEPENDENCY_DESCRIPTOR, "id": DEPENDENCY_DESCRIPTOR_ID, "encrypt": False, "parameters": {}}
    )
    extensions.sort(key=lambda extension: extension["id"])
    return _received(consumable, codecs, extensions, _piped_streams(consumable, random, enable_rtx))


def _decodable(codecs: list[RtpCodecJson], remote: RtpCapabilitiesJson, enable_rtx: bool) -> list[RtpCodecJson]:
    """Return the codecs the receiver knows, with its feedback, and retransmission of those only."""
    kept: list[RtpCodecJson] = []
    for codec in codecs:
        theirs = next((theirs for theirs in remote["codecs"] if matches(theirs, codec)), None)
        if theirs is not None and (enable_rtx or not is_rtx(codec)):
            offered: RtpCodecJson = {**codec, "rtcpFeedback": theirs["rtcpFeedback"]}
            kept.append(offered if enable_rtx else _with_feedback(offered, lambda feedback: _kind(feedback) != NACK))
    payload_types = {codec["payloadType"] for codec in kept}
    kept = [codec for codec in kept if not is_rtx(codec) or codec["parameters"].get("apt") in payload_types]
    if not kept or is_rtx(kept[0]):
        raise UnsupportedCodec("no compatible media codecs")
    return kept


def _with_one_estimator(codecs: list[RtpCodecJson], extensions: list[RtpHeaderExtensionJson]) -> list[RtpCodecJson]:
    """Keep the feedback of one bandwidth estimation: transport-cc where its extension is sent, else REMB, else none."""
    uris = {extension["uri"] for extension in extensions}
    if TRANSPORT_WIDE_CC in uris:
        dropped = {"goog-remb"}
    elif ABS_SEND_TIME in uris:
        dropped = {"transport-cc"}
    else:
        dropped = {"transport-cc", "goog-remb"}
    return [_with_feedback(codec, lambda feedback: feedback["type"] not in dropped) for codec in codecs]


def _switched_stream(consumable: RtpParametersJson, random: RandomSsrc, has_rtx: bool) -> list[RtpEncodingJson]:
    """Return the one stream that stands for all of the producer's: simulcast streams become its spatial layers."""
    encodings = consumable["encodings"]
    stream: RtpEncodingJson = {"ssrc": random()}
    if has_rtx:
        stream["rtx"] = {"ssrc": stream["ssrc"] + 1}
    mode = next((encoding["scalabilityMode"] for encoding in encodings if encoding.get("scalabilityMode")), None)
    if len(encodings) > 1:
        mode = f"L{len(encodings)}T{parse_scalability_mode(mode).temporal_layers}"
    if mode:
        stream["scalabilityMode"] = mode
    bitrates = [encoding.get("maxBitrate") for encoding in encodings]
    highest = max((bitrate for bitrate in bitrates if is_number(bitrate)), default=0)
    if highest > 0:
        stream["maxBitrate"] = highest
    return [stream]


def _piped_streams(consumable: RtpParametersJson, random: RandomSsrc, has_rtx: bool) -> list[RtpEncodingJson]:
    first, first_rtx = random(), random()
    streams: list[RtpEncodingJson] = []
    for index, encoding in enumerate(consumable["encodings"]):
        stream: RtpEncodingJson = {**encoding, "ssrc": first + index}
        stream.pop("rtx", None)
        if has_rtx:
            stream["rtx"] = {"ssrc": first_rtx + index}
        streams.append(stream)
    return streams


def _received(
    consumable: RtpParametersJson,
    codecs: list[RtpCodecJson],
    extensions: list[RtpHeaderExtensionJson],
    encodings: list[RtpEncodingJson],
) -> RtpParametersJson:
    received: RtpParametersJson = {
        "codecs": codecs,
        "headerExtensions": extensions,
        "encodings": encodings,
        "rtcp": consumable["rtcp"],
    }
    if "msid" in consumable:
        received["msid"] = consumable["msid"]
    return received


def _is_known(codec: RtpCodecJson, remote: RtpCapabilitiesJson) -> bool:
    return any(matches(theirs, codec) for theirs in remote["codecs"])


def _with_feedback(codec: RtpCodecJson, wanted: Callable[[RtcpFeedbackJson], bool]) -> RtpCodecJson:
    return {**codec, "rtcpFeedback": [feedback for feedback in codec["rtcpFeedback"] if wanted(feedback)]}


def _kind(feedback: RtcpFeedbackJson) -> tuple[str, str]:
    return feedback["type"], feedback["parameter"]
