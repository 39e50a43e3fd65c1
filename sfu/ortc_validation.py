"""Judges JSON that came from outside and fills in what it left out, by mediasoup's rules and in mediasoup's words.

Rules of this file: the input is never changed, the result is a normalised copy that shares what it did not touch; to
normalise twice is to normalise once; unknown fields survive; nothing but `InvalidRtpParameters` is raised, whatever the
input. Values are not coerced: `"96"` is no number, and neither is `true` nor a number no JavaScript peer could hold
exactly. Absent, `null`, `0`, `false` and `""` all mean "not given" where a field is optional, as they do in JavaScript.
"""

import re
from collections.abc import Callable
from typing import TypeGuard, TypeVar, cast

from pydantic import JsonValue

from sfu.errors import InvalidRtpParameters
from sfu.ortc_shapes import (
    RtpCapabilitiesJson,
    RtpCodecCapabilityJson,
    RtpParametersJson,
    SctpStreamParametersJson,
)

JsonObject = dict[str, JsonValue]
T = TypeVar("T")

LARGEST_NUMBER = 2**53 - 1
MIME_TYPE = re.compile(r"(audio|video)/[^\n\r\u2028\u2029]", re.IGNORECASE | re.ASCII)
SHOWN_AT_MOST = 256


def validate_rtp_capabilities(caps: object) -> RtpCapabilitiesJson:
    """Return capabilities with every optional field filled in; each codec's kind is the one its MIME type says.

    Raises InvalidRtpParameters. Source: mediasoup `RtpCapabilities`, RFC 8834.
    """
    given = _object(caps, "caps is not an object")
    codecs = _each(given, "codecs", "caps.codecs is not an array", validate_rtp_codec_capability)
    extensions = _each(given, "headerExtensions", "caps.headerExtensions is not an array", _extension_capability)
    return cast(RtpCapabilitiesJson, given | {"codecs": codecs, "headerExtensions": extensions})


def validate_rtp_codec_capability(codec: object) -> RtpCodecCapabilityJson:
    """Return one codec capability with every optional field filled in. Raises InvalidRtpParameters."""
    given = _object(codec, "codec is not an object")
    kind = _kind_of(given)
    _optional(given, "preferredPayloadType", is_number, "invalid codec.preferredPayloadType")
    return cast(RtpCodecCapabilityJson, _codec(given, kind) | {"kind": kind})


def validate_rtp_parameters(params: object) -> RtpParametersJson:
    """Return what a producer wants to send with every optional field filled in; RTCP is of reduced size from then on.

    Raises InvalidRtpParameters. Source: mediasoup `RtpParameters`, RFC 8834.
    """
    given = _object(params, "params is not an object")
    _optional(given, "mid", _is_string, "params.mid is not a string")
    if not isinstance(given.get("codecs"), list):
        raise InvalidRtpParameters("missing params.codecs")
    normalised = given | {
        "codecs": _each(given, "codecs", "missing params.codecs", _codec_parameters),
        "headerExtensions": _each(given, "headerExtensions", "params.headerExtensions is not an array", _extension),
        "encodings": _each(given, "encodings", "params.encodings is not an array", _encoding),
    }
    rtcp = _optional(given, "rtcp", _is_object_or_list, "params.rtcp is not an object")
    _optional(given, "msid", _is_string, "params.msid is not a string")
    return cast(RtpParametersJson, normalised | {"rtcp": _rtcp(rtcp)})


def validate_sctp_stream_parameters(params: object) -> SctpStreamParametersJson:
    """Return a data channel's parameters with `ordered` filled in; a limit of 0 counts as none.

    Raises InvalidRtpParameters. Source: mediasoup `SctpStreamParameters`.
    """
    given = _object(params, "params is not an object")
    if not is_number(given.get("streamId")):
        raise InvalidRtpParameters("missing params.streamId")
    lifetime = _optional(given, "maxPacketLifeTime", is_number, "invalid params.maxPacketLifeTime")
    retransmits = _optional(given, "maxRetransmits", is_number, "invalid params.maxRetransmits")
    if lifetime and retransmits:
        raise InvalidRtpParameters("cannot provide both maxPacketLifeTime and maxRetransmits")
    limited = lifetime or retransmits
    ordered = given.get("ordered")
    if ordered is True and limited:
        raise InvalidRtpParameters("cannot be ordered with maxPacketLifeTime or maxRetransmits")
    return cast(SctpStreamParametersJson, given | {"ordered": ordered if isinstance(ordered, bool) else not limited})


def _codec_parameters(codec: object) -> JsonObject:
    given = _object(codec, "codec is not an object")
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
    fields = _fields(parameters)
    for key, value in fields.items():
        if not (_is_string(value) or is_number(value)):
            raise InvalidRtpParameters(f"invalid codec parameter [key:{key[:SHOWN_AT_MOST]}s, value:{shown(value)}]")
        if key == "apt" and not is_number(value):
            raise InvalidRtpParameters("invalid codec apt parameter")
    return fields


def _feedback(feedback: object) -> JsonObject:
    given = _object(feedback, "fb is not an object")
    if not _is_string(given.get("type")) or not given["type"]:
        raise InvalidRtpParameters("missing fb.type")
    parameter = given.get("parameter")
    return given | {"parameter": parameter if isinstance(parameter, str) else ""}


def _extension_capability(extension: object) -> JsonObject:
    given = _object(extension, "ext is not an object")
    if given.get("kind") not in ("audio", "video"):
        raise InvalidRtpParameters("invalid ext.kind")
    _uri(given)
    if not is_number(given.get("preferredId")):
        raise InvalidRtpParameters("missing ext.preferredId")
    encrypt = _optional(given, "preferredEncrypt", _is_bool, "invalid ext.preferredEncrypt")
    direction = _optional(given, "direction", _is_string, "invalid ext.direction")
    return given | {"preferredEncrypt": bool(encrypt), "direction": direction or "sendrecv"}


def _extension(extension: object) -> JsonObject:
    given = _object(extension, "ext is not an object")
    _uri(given)
    if not is_number(given.get("id")):
        raise InvalidRtpParameters("missing ext.id")
    encrypt = _optional(given, "encrypt", _is_bool, "invalid ext.encrypt")
    parameters = _fields(given.get("parameters"))
    if not all(_is_string(value) or is_number(value) for value in parameters.values()):
        raise InvalidRtpParameters("invalid header extension parameter")
    return given | {"encrypt": bool(encrypt), "parameters": parameters}


def _uri(extension: JsonObject) -> None:
    if not _is_string(extension.get("uri")) or not extension["uri"]:
        raise InvalidRtpParameters("missing ext.uri")


def _encoding(encoding: object) -> JsonObject:
    given = _object(encoding, "encoding is not an object")
    _optional(given, "ssrc", is_number, "invalid encoding.ssrc")
    _optional(given, "rid", _is_string, "invalid encoding.rid")
    rtx = _optional(given, "rtx", _is_object_or_list, "invalid encoding.rtx")
    if rtx is not None and not is_number(_object(rtx, "invalid encoding.rtx").get("ssrc")):
        raise InvalidRtpParameters("missing encoding.rtx.ssrc")
    _optional(given, "scalabilityMode", _is_string, "invalid encoding.scalabilityMode")
    return given | {"dtx": given.get("dtx") is True}


def _rtcp(rtcp: object) -> JsonObject:
    given = rtcp if _is_object(rtcp) else {}
    _optional(given, "cname", _is_string, "invalid rtcp.cname")
    return given | {"reducedSize": True}


def _object(value: object, otherwise: str) -> JsonObject:
    """Return an object; a list is one without fields, as in JavaScript, so the first field it lacks is named."""
    if isinstance(value, list):
        return {}
    if not _is_object(value):
        raise InvalidRtpParameters(otherwise)
    return value


def _each(given: JsonObject, name: str, otherwise: str, normalise: Callable[[object], object]) -> list[JsonValue]:
    """Return the normalised elements of an optional list."""
    value = given.get(name)
    if not _given(value):
        return []
    if not isinstance(value, list):
        raise InvalidRtpParameters(otherwise)
    return cast(list[JsonValue], [normalise(one) for one in value])


def _optional(given: JsonObject, name: str, of_type: Callable[[object], TypeGuard[T]], otherwise: str) -> T | None:
    """Return an optional field, None if it is not given, or refuse it for being of another type."""
    value = given.get(name)
    if not _given(value):
        return None
    if not of_type(value):
        raise InvalidRtpParameters(otherwise)
    return value


def _given(value: JsonValue) -> bool:
    """Say whether JavaScript calls a JSON value true; empty objects and lists are."""
    return isinstance(value, dict | list) or bool(value)


def _fields(value: JsonValue) -> JsonObject:
    """Return the fields of what may be an object; those of a list are its elements, anything else has none."""
    if isinstance(value, list):
        return {str(index): element for index, element in enumerate(value)}
    return value if isinstance(value, dict) else {}


def _is_object(value: object) -> TypeGuard[JsonObject]:
    return isinstance(value, dict)


def _is_object_or_list(value: object) -> TypeGuard[JsonObject | list[JsonValue]]:
    return isinstance(value, dict | list)


def _is_string(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def _is_bool(value: object) -> TypeGuard[bool]:
    return isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Say whether a JSON value is a number that every peer holds exactly; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST_NUMBER <= value <= LARGEST_NUMBER


def shown(value: JsonValue) -> str:
    """Return a value as JavaScript writes it into a text, but never more of it than a reader wants."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "[object Object]"
    if isinstance(value, list):
        return ",".join("" if one is None else "[list]" if isinstance(one, list) else shown(one) for one in value[:16])
    if isinstance(value, str):
        return value[:SHOWN_AT_MOST]
    if not is_number(value):
        return "Infinity" if value > 0 else "-Infinity" if value < 0 else "NaN"
    return str(int(value)) if value == int(value) else str(value)
