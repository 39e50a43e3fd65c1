"""ORTC parameters of the API as aiortc's objects, and what of a router this participant can receive."""

from collections.abc import Mapping
from typing import cast

from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtcpParameters,
    RTCRtpCodecParameters,
    RTCRtpDecodingParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpReceiveParameters,
    RTCRtpRtxParameters,
)
from pydantic import JsonValue

JsonObject = dict[str, JsonValue]
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
OURS = {"audio/opus", "video/vp8"}
FEEDBACK = [{"type": "nack", "parameter": ""}, {"type": "nack", "parameter": "pli"}]


def receivable(router: Mapping[str, JsonValue]) -> JsonObject:
    """Return what this participant can receive of a router's capabilities: opus, VP8 with RTX, the MID extension."""
    codecs: list[JsonValue] = []
    taken: set[JsonValue] = set()
    for codec in cast(list[JsonObject], router["codecs"]):
        mime, parameters = str(codec["mimeType"]).lower(), cast(JsonObject, codec.get("parameters") or {})
        if mime in OURS or (mime == "video/rtx" and parameters.get("apt") in taken):
            taken.add(codec["preferredPayloadType"])
            feedback = FEEDBACK if mime == "video/vp8" else FEEDBACK[:1] if mime == "audio/opus" else []
            codecs.append({**codec, "rtcpFeedback": cast(JsonValue, feedback)})
    extensions = [one for one in cast(list[JsonObject], router["headerExtensions"]) if one["uri"] == MID]
    return {"codecs": codecs, "headerExtensions": cast(JsonValue, extensions)}


def receive_parameters(parameters: Mapping[str, JsonValue]) -> RTCRtpReceiveParameters:
    codecs = codecs_of(parameters)
    encodings = []
    for one in cast(list[JsonObject], parameters["encodings"]):
        rtx = cast(JsonObject | None, one.get("rtx"))
        encodings.append(
            RTCRtpDecodingParameters(
                ssrc=cast(int, one["ssrc"]),
                payloadType=cast(int, codecs[0].payloadType),
                rtx=RTCRtpRtxParameters(ssrc=cast(int, rtx["ssrc"])) if rtx else None,
            )
        )
    return RTCRtpReceiveParameters(
        codecs=codecs,
        encodings=encodings,
        headerExtensions=extensions_of(parameters),
        muxId=str(parameters.get("mid", "")),
        rtcp=RTCRtcpParameters(cname=str(cast(JsonObject, parameters.get("rtcp") or {}).get("cname", ""))),
    )


def codecs_of(parameters: Mapping[str, JsonValue]) -> list[RTCRtpCodecParameters]:
    return [
        RTCRtpCodecParameters(
            mimeType=str(one["mimeType"]),
            clockRate=cast(int, one["clockRate"]),
            channels=cast(int | None, one.get("channels")),
            payloadType=cast(int, one["payloadType"]),
            rtcpFeedback=[
                RTCRtcpFeedback(type=str(each["type"]), parameter=str(each.get("parameter") or "") or None)
                for each in cast(list[JsonObject], one.get("rtcpFeedback") or [])
            ],
            parameters=cast(dict[str, int | str | None], one.get("parameters") or {}),
        )
        for one in cast(list[JsonObject], parameters["codecs"])
    ]


def extensions_of(parameters: Mapping[str, JsonValue]) -> list[RTCRtpHeaderExtensionParameters]:
    return [
        RTCRtpHeaderExtensionParameters(id=cast(int, one["id"]), uri=str(one["uri"]))
        for one in cast(list[JsonObject], parameters.get("headerExtensions") or [])
    ]
