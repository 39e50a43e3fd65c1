"""The peers that the load generator plays: what they publish, what they are told of a stream, how they connect."""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

from bench.client import JsonObject
from bench.generator import Generator, words
from sfu.supported import ABS_SEND_TIME, MID, TRANSPORT_WIDE_CC

VIDEO, VIDEO_RTX, AUDIO = 96, 97, 111
ABS_ID, WIDE_ID, MID_ID = 3, 4, 5
FEEDBACK = [("nack", ""), ("nack", "pli"), ("ccm", "fir"), ("transport-cc", "")]


@dataclass(frozen=True)
class Consumed:
    """A consumer: the name under which its first packet is told, and what the load is to be told of it."""

    name: str
    order: str


async def dial(load: Generator, transport: str, given: JsonObject) -> None:
    """Let the load connect to a transport (`to`, `fragment`, `password`, `fingerprint`); wait until it is."""
    connected = load.expect("connected", transport)
    load.order(f"transport {transport} {words(given.items())}")
    async with asyncio.timeout(30):
        await connected


def publish_order(transport: str, name: str, kind: str, ssrc: int) -> str:
    """Return the order to publish a stream; it flows once its rate is set."""
    given: list[tuple[str, object]] = [("ssrc", ssrc), ("abs", ABS_ID), ("wide", WIDE_ID)]
    if kind == "video":
        given += [("rtx", ssrc + 1), ("pt", VIDEO), ("rtxpt", VIDEO_RTX), ("packets", 5), ("bytes", 1200)]
    else:
        given += [("video", 0), ("pt", AUDIO), ("clock", 48_000), ("packets", 1), ("bytes", 120)]
    return f"publish {transport} {name} {words(given)}"


def consumed(transport: str, kind: str, parameters: JsonObject, *, announce: bool = False) -> Consumed:
    """Return what the load is told of a consumer with these parameters."""
    (encoding,) = cast(list[JsonObject], parameters["encodings"])
    rtx = cast(JsonObject, encoding.get("rtx") or {}).get("ssrc", 0)
    extensions = cast(list[JsonObject], parameters.get("headerExtensions") or [])
    wide = next((each["id"] for each in extensions if each["uri"] == TRANSPORT_WIDE_CC), 0)
    given = [
        ("ssrc", encoding["ssrc"]),
        ("rtx", rtx if kind == "video" else 0),
        ("video", int(kind == "video")),
        ("wide", wide),
        ("announce", int(announce)),
    ]
    return Consumed(f"{transport}/{encoding['ssrc']}", f"stream {transport} {words(given)}")


def _extensions() -> list[Any]:
    given = ((ABS_SEND_TIME, ABS_ID), (TRANSPORT_WIDE_CC, WIDE_ID), (MID, MID_ID))
    return [{"uri": uri, "id": number} for uri, number in given]


def _feedback() -> list[Any]:
    return [{"type": kind, "parameter": parameter} for kind, parameter in FEEDBACK]


def published(kind: str, ssrc: int, mid: str) -> JsonObject:
    """Return the parameters of what a peer sends."""
    return _video(ssrc, mid) if kind == "video" else _audio(ssrc, mid)


def _video(ssrc: int, mid: str) -> JsonObject:
    """Return what a publisher of VP8 with retransmissions sends."""
    rtx: JsonObject = {"apt": VIDEO}
    return {
        "mid": mid,
        "codecs": [
            {"mimeType": "video/VP8", "payloadType": VIDEO, "clockRate": 90_000, "rtcpFeedback": _feedback()},
            {"mimeType": "video/rtx", "payloadType": VIDEO_RTX, "clockRate": 90_000, "parameters": rtx},
        ],
        "headerExtensions": _extensions(),
        "encodings": [{"ssrc": ssrc, "rtx": {"ssrc": ssrc + 1}}],
        "rtcp": {"cname": "bench", "reducedSize": True},
    }


def _audio(ssrc: int, mid: str) -> JsonObject:
    """Return what a publisher of opus sends."""
    codec: JsonObject = {"mimeType": "audio/opus", "payloadType": AUDIO, "clockRate": 48_000, "channels": 2}
    return {
        "mid": mid,
        "codecs": [{**codec, "rtcpFeedback": [{"type": "transport-cc", "parameter": ""}]}],
        "headerExtensions": _extensions(),
        "encodings": [{"ssrc": ssrc}],
        "rtcp": {"cname": "bench", "reducedSize": True},
    }
