"""The streams of one producer: whether their packets can be told apart, and how they relate.

A packet is of the stream whose ssrc or rid it carries; a producer with one stream and neither is known by its mid.
"""

from collections.abc import Sequence
from typing import Literal

from sfu.codec_matching import is_rtx, name
from sfu.errors import InvalidRtpParameters, UnsupportedCodec
from sfu.ortc_shapes import RtpEncodingJson, RtpParametersJson
from sfu.scalability import parse_scalability_mode

ProducerType = Literal["simple", "simulcast", "svc"]
SIMULCAST_CODECS = frozenset({"video/vp8", "video/h264"})
LAYERED_CODECS = frozenset({"video/vp8", "video/vp9", "video/h264", "video/av1"})


def producer_type(params: RtpParametersJson) -> ProducerType:
    """Return how the streams of valid parameters relate: one, several of one source, or one in layers.

    Raises UnsupportedCodec for simulcast of a codec that we cannot switch between streams.
    """
    codec = name(params["codecs"][0])
    if len(params["encodings"]) > 1:
        if codec not in SIMULCAST_CODECS:
            raise UnsupportedCodec(f"simulcast is not supported [mimeType:{params['codecs'][0]['mimeType']}]")
        return "simulcast"
    mode = parse_scalability_mode(params["encodings"][0].get("scalabilityMode"))
    layered = mode.spatial_layers > 1 or mode.temporal_layers > 1
    return "svc" if layered and codec in LAYERED_CODECS else "simple"


def check_streams(kind: str, params: RtpParametersJson) -> None:
    """Refuse valid parameters whose packets could not be told apart, or are of another kind than said.

    Raises InvalidRtpParameters. Source: RFC 8843 §9.2 (which stream a packet is of), RFC 8285 §4.2 (id 0 is padding).
    """
    if not params["codecs"] or is_rtx(params["codecs"][0]):
        raise InvalidRtpParameters("the first of params.codecs must be a media codec")
    if any(name(codec).partition("/")[0] != kind for codec in params["codecs"]):
        raise InvalidRtpParameters(f"params.codecs are not all of kind {kind}")
    if any(extension["id"] == 0 for extension in params["headerExtensions"]):
        raise InvalidRtpParameters("ext.id cannot be 0")
    encodings = params["encodings"]
    if not all(encoding.get("ssrc") or encoding.get("rid") for encoding in encodings) and (
        len(encodings) > 1 or not params.get("mid")
    ):
        raise InvalidRtpParameters("each encoding needs an ssrc or a rid, a single one at least params.mid")
    if any(encoding.get("rid") for encoding in encodings) and not params.get("mid"):
        raise InvalidRtpParameters("an encoding with a rid needs params.mid")
    _each_once("ssrc", _ssrcs_of(encodings))
    _each_once("rid", [encoding["rid"] for encoding in encodings if encoding.get("rid")])
    _each_once("ext.id", [extension["id"] for extension in params["headerExtensions"]])
    _each_once("codec.payloadType", [codec["payloadType"] for codec in params["codecs"]])


def _ssrcs_of(encodings: list[RtpEncodingJson]) -> list[int]:
    ssrcs = [encoding["ssrc"] for encoding in encodings if encoding.get("ssrc")]
    return ssrcs + [encoding["rtx"]["ssrc"] for encoding in encodings if encoding.get("rtx")]


def _each_once(what: str, values: Sequence[int | str]) -> None:
    if len(set(values)) < len(values):
        raise InvalidRtpParameters(f"duplicated {what}")
