"""A producer is refused while nothing has been made, if its packets could not be told apart."""

from typing import Any

import pytest

from sfu import ortc
from sfu.errors import InvalidRtpParameters, UnsupportedCodec
from sfu.supported import MID, RTP_STREAM_ID
from tests.pure.ortc_vectors import numbered

ROUTER = ortc.router_rtp_capabilities()
VP8 = {"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000}
RTX = {"mimeType": "video/rtx", "payloadType": 97, "clockRate": 90000, "parameters": {"apt": 96}}
VP9 = {"mimeType": "video/VP9", "payloadType": 98, "clockRate": 90000}


def parameters(**fields: Any) -> dict[str, Any]:
    return {"mid": "0", "codecs": [VP8, RTX], "encodings": [{"ssrc": 1}]} | fields


def produce(kind: str = "video", **fields: Any) -> ortc.NegotiatedProducer:
    return ortc.negotiate_producer(kind, parameters(**fields), ROUTER, numbered())


def test_a_producer_without_encodings_has_one_stream() -> None:
    negotiated = produce(encodings=[])
    assert negotiated.type == "simple"
    assert negotiated.mapping["encodings"] == [{"mappedSsrc": 100_000_000}]
    assert negotiated.consumable["encodings"] == [{"ssrc": 100_000_000, "dtx": False}]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"codecs": []}, "the first of params.codecs must be a media codec"),
        ({"codecs": [RTX, VP8]}, "the first of params.codecs must be a media codec"),
        ({"kind": "audio"}, "params.codecs are not all of kind audio"),
        ({"mid": "", "encodings": []}, "each encoding needs"),
        ({"encodings": [{}, {}]}, "each encoding needs"),
        ({"encodings": [{"ssrc": 1}, {}]}, "each encoding needs"),
        ({"mid": None, "encodings": [{"rid": "h"}]}, "an encoding with a rid needs params.mid"),
        ({"encodings": [{"ssrc": 1}, {"ssrc": 1}]}, "duplicated ssrc"),
        ({"encodings": [{"ssrc": 1, "rtx": {"ssrc": 1}}]}, "duplicated ssrc"),
        ({"encodings": [{"rid": "h"}, {"rid": "h"}]}, "duplicated rid"),
        ({"headerExtensions": [{"uri": MID, "id": 0}]}, "ext.id cannot be 0"),
        ({"headerExtensions": [{"uri": MID, "id": 3}, {"uri": RTP_STREAM_ID, "id": 3}]}, "duplicated ext.id"),
        ({"codecs": [VP8, VP9 | {"payloadType": 96}]}, "duplicated codec.payloadType"),
        ({"codecs": [VP8, VP8 | {"payloadType": 98}]}, "params.codecs has a codec twice"),
        ({"codecs": [VP8, RTX, RTX | {"payloadType": 98}]}, "params.codecs has a codec twice"),
        ({"codecs": [VP8, RTX | {"parameters": {}}]}, "missing media codec found for RTX PT 97"),
        ({"codecs": [VP8, RTX | {"parameters": {"apt": 97}}]}, "missing media codec found for RTX PT 97"),
    ],
)
def test_streams_that_cannot_be_told_apart_are_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRtpParameters, match=f"^{why}"):
        produce(**fields)


def test_one_stream_is_known_by_its_mid_alone() -> None:
    assert produce(encodings=[{}]).type == "simple"


@pytest.mark.parametrize(
    ("fields", "type_"),
    [
        ({"encodings": [{"ssrc": 1}, {"ssrc": 2}]}, "simulcast"),
        ({"encodings": [{"ssrc": 1, "scalabilityMode": "L1T3"}]}, "svc"),
        ({"encodings": [{"ssrc": 1, "scalabilityMode": "L1T1"}]}, "simple"),
        ({"encodings": [{"ssrc": 1, "scalabilityMode": "unheard of"}]}, "simple"),
        ({"codecs": [VP9], "encodings": [{"ssrc": 1, "scalabilityMode": "L3T3_KEY"}]}, "svc"),
        (
            {
                "kind": "audio",
                "codecs": [{"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}],
                "encodings": [{"ssrc": 1, "scalabilityMode": "L1T3"}],
            },
            "simple",
        ),
    ],
)
def test_the_type_of_a_producer_says_how_its_streams_relate(fields: dict[str, Any], type_: str) -> None:
    assert produce(**fields).type == type_


def test_simulcast_of_vp9_is_refused() -> None:
    with pytest.raises(UnsupportedCodec, match="video/VP9"):
        produce(codecs=[VP9], encodings=[{"ssrc": 1}, {"ssrc": 2}])


def test_a_codec_the_router_was_not_made_for_is_refused() -> None:
    with pytest.raises(UnsupportedCodec, match=r"^unsupported codec \[mimeType:video/H265, payloadType:96\]$"):
        produce(codecs=[VP8 | {"mimeType": "video/H265"}])


def test_negotiating_changes_nothing_that_was_given() -> None:
    given = parameters(
        codecs=[
            {"mimeType": "video/h264", "payloadType": 5, "clockRate": 90000, "parameters": {"packetization-mode": 1}}
        ]
    )
    before = repr(given), repr(ROUTER)
    negotiated = ortc.negotiate_producer("video", given, ROUTER, numbered())
    assert negotiated.rtp_parameters["codecs"][0]["parameters"]["profile-level-id"] == "42e01f"
    assert (repr(given), repr(ROUTER)) == before
