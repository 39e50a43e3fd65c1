"""Judges JSON that came from outside and fills in what it left out, by mediasoup's rules and in mediasoup's words.

Rules of this file: the input is never changed, the result is a normalised copy that shares what it did not touch; to
normalise twice is to normalise once; unknown fields survive; nothing but `InvalidRtpParameters` is raised, whatever the
input. Values are not coerced: `"96"` is no number, and neither is `true` nor a number no JavaScript peer could hold
exactly. Absent, `null`, `0`, `false` and `""` all mean "not given" where a field is optional, as they do in JavaScript.
"""

import re
from typing import cast

from pydantic import JsonValue

from sfu.errors import InvalidRtpParameters
from sfu.json_fields import (
    SHOWN_AT_MOST,
    JsonObject,
    each_of,
    fields_of,
    is_bool,
    is_number,
    is_object,
    is_object_or_list,
    is_string,
    object_of,
    optional,
    shown,
)
from sfu.ortc_shapes import (
    RtpCapabilitiesJson,
    RtpCodecCapabilityJson,
    RtpParametersJson,
    SctpStreamParametersJson,
)

MIME_TYPE = re.compile(r"(audio|video)/[^\n\r\u2028\u2029]", re.IGNORECASE | re.ASCII)


def validate_rtp_capabilities(caps: object) -> RtpCapabilitiesJson:
    """Return capabilities with every optional field filled in; each codec's kind is the one its MIME type says.

    Raises InvalidRtpParameters. Source: mediasoup `RtpCapabilities`, RFC 8834.
    """
    given = object_of(caps, "caps is not an object")
    codecs = each_of(given, "codecs", "caps.codecs is not an array", validate_rtp_codec_capability)
    extensions = each_of(given, "headerExtensions", "caps.headerExtensions is not an array", _extension_capability)
    return cast(RtpCapabilitiesJson, given | {"codecs": codecs, "headerExtensions": extensions})


def validate_rtp_codec_capability(codec: object) -> RtpCodecCapabilityJson:
    """Return one codec capability with every optional field filled in. Raises InvalidRtpParameters."""
    given = object_of(codec, "codec is not an object")
    kind = _kind_of(given)
    optional(given, "preferredPayloadType", is_number, "invalid codec.preferredPayloadType")
    return cast(RtpCodecCapabilityJson, _codec(given, kind) | {"kind": kind})


def validate_rtp_parameters(params: object) -> RtpParametersJson:
    """Return what a producer wants to send with every optional field filled in; RTCP is of reduced size from then on.

    Raises InvalidRtpParameters. Source: mediasoup `RtpParameters`, RFC 8834.
    """
    given = object_of(params, "params is not an object")
    optional(given, "mid", is_string, "params.mid is not a string")
    if not isinstance(given.get("codecs"), list):
        raise InvalidRtpParameters("missing params.codecs")
    normalised = given | {
        "codecs": each_of(given, "codecs", "missing params.codecs", _codec_parameters),
        "headerExtensions": each_of(given, "headerExtensions", "params.headerExtensions is not an array", _extension),
        "encodings": each_of(given, "encodings", "params.encodings is not an array", _encoding),
    }
    rtcp = optional(given, "rtcp", is_object_or_list, "params.rtcp is not an object")
    optional(given, "msid", is_string, "params.msid is not a string")
    return cast(RtpParametersJson, normalised | {"rtcp": _rtcp(rtcp)})


def validate_sctp_stream_parameters(params: object) -> SctpStreamParametersJson:
    """Return a data channel's parameters with `ordered` filled in; a limit of 0 counts as none.

    Raises InvalidRtpParameters. Source: mediasoup `SctpStreamParameters`.
    """
    given = object_of(params, "params is not an object")
    if not is_number(given.get("streamId")):
        raise InvalidRtpParameters("missing params.streamId")
    lifetime = optional(given, "maxPacketLifeTime", is_number, "invalid params.maxPacketLifeTime")
    retransmits = optional(given, "maxRetransmits", is_number, "invalid params.maxRetransmits")
    if lifetime and retransmits:
        raise InvalidRtpParameters("cannot provide both maxPacketLifeTime and maxRetransmits")
    limited = lifetime or retransmits
    ordered = given.get("ordered")
    if ordered is True and limited:
        raise InvalidRtpParameters("cannot be ordered with maxPacketLifeTime or maxRetransmits")
    return cast(SctpStreamParametersJson, given | {"ordered": ordered if isinstance(ordered, bool) else not limited})


def _codec_parameters(codec: object) -> JsonObject:
    given = object_of(codec, "codec is not an object")
    kind = _kind_of(given)
    if not is_number(given.get("payloadType")):
        raise InvalidRtpParameters("missing codec.payloadType")
    return _codec(given, kind)


def _kind_of(codec: JsonObject) -> str:
    mime_type = codec.get("mimeType")
    if not isinstance(mime_type, str) or not mime_type:
        raise InvalidRtpParameters("missing codec.mimeType")
    match = MIME_TYPE.match(mime_type)
    if match is None:
        raise InvalidRtpParameters("invalid codec.mimeType")
    return match[1].lower()


def _codec(given: JsonObject, kind: str) -> JsonObject:
    """Fill in what a capability and a codec in use have in common. Audio has channels, video has none."""
    if not is_number(given.get("clockRate")):
        raise InvalidRtpParameters("missing codec.clockRate")
    normalised = {name: value for name, value in given.items() if name != "channels"}
    if kind == "audio":
        channels = given.get("channels")
        normalised["channels"] = channels if is_number(channels) else 1
    normalised["parameters"] = _codec_fmtp(given.get("parameters"))
    feedback = given.get("rtcpFeedback")
    normalised["rtcpFeedback"] = [_feedback(one) for one in feedback] if isinstance(feedback, list) else []
    return normalised


def _codec_fmtp(parameters: JsonValue) -> JsonObject:
    fields = fields_of(parameters)
    for key, value in fields.items():
        if not (is_string(value) or is_number(value)):
            raise InvalidRtpParameters(f"invalid codec parameter [key:{key[:SHOWN_AT_MOST]}s, value:{shown(value)}]")
        if key == "apt" and not is_number(value):
            raise InvalidRtpParameters("invalid codec apt parameter")
    return fields


def _feedback(feedback: object) -> JsonObject:
    given = object_of(feedback, "fb is not an object")
    if not is_string(given.get("type")) or not given["type"]:
        raise InvalidRtpParameters("missing fb.type")
    parameter = given.get("parameter")
    return given | {"parameter": parameter if isinstance(parameter, str) else ""}


def _extension_capability(extension: object) -> JsonObject:
    given = object_of(extension, "ext is not an object")
    if given.get("kind") not in ("audio", "video"):
        raise InvalidRtpParameters("invalid ext.kind")
    _uri(given)
    if not is_number(given.get("preferredId")):
        raise InvalidRtpParameters("missing ext.preferredId")
    encrypt = optional(given, "preferredEncrypt", is_bool, "invalid ext.preferredEncrypt")
    direction = optional(given, "direction", is_string, "invalid ext.direction")
    return given | {"preferredEncrypt": bool(encrypt), "direction": direction or "sendrecv"}


def _extension(extension: object) -> JsonObject:
    given = object_of(extension, "ext is not an object")
    _uri(given)
    if not is_number(given.get("id")):
        raise InvalidRtpParameters("missing ext.id")
    encrypt = optional(given, "encrypt", is_bool, "invalid ext.encrypt")
    parameters = fields_of(given.get("parameters"))
    if not all(is_string(value) or is_number(value) for value in parameters.values()):
        raise InvalidRtpParameters("invalid header extension parameter")
    return given | {"encrypt": bool(encrypt), "parameters": parameters}


def _uri(extension: JsonObject) -> None:
    if not is_string(extension.get("uri")) or not extension["uri"]:
        raise InvalidRtpParameters("missing ext.uri")


def _encoding(encoding: object) -> JsonObject:
    given = object_of(encoding, "encoding is not an object")
    optional(given, "ssrc", is_number, "invalid encoding.ssrc")
    optional(given, "rid", is_string, "invalid encoding.rid")
    rtx = optional(given, "rtx", is_object_or_list, "invalid encoding.rtx")
    if rtx is not None and not is_number(object_of(rtx, "invalid encoding.rtx").get("ssrc")):
        raise InvalidRtpParameters("missing encoding.rtx.ssrc")
    optional(given, "scalabilityMode", is_string, "invalid encoding.scalabilityMode")
    return given | {"dtx": given.get("dtx") is True}


def _rtcp(rtcp: object) -> JsonObject:
    given = rtcp if is_object(rtcp) else {}
    optional(given, "cname", is_string, "invalid rtcp.cname")
    return given | {"reducedSize": True}
