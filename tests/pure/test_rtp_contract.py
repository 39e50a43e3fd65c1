"""The contract keeps what a client sends as it was sent, and refuses what is too much or is not what it seems."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from contracts.meeting import AppData
from contracts.rtp import DtlsParameters, RtpCapabilities, RtpParameters

CODEC = {"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000}
CAPABILITY = {"kind": "video", "mimeType": "video/VP8", "clockRate": 90000}
APP_DATA: TypeAdapter[dict[str, Any]] = TypeAdapter(AppData)
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def parameters(codec: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"codecs": [CODEC | (codec or {})]} | fields


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def test_unknown_fields_survive_at_every_depth() -> None:
    sent = {
        "mid": "0",
        "codecs": [CODEC | {"rtcpFeedback": [{"type": "nack", "new_field": [1]}], "priority": {"a_b": None}}],
        "headerExtensions": [{"uri": "u", "id": 14, "direction": "sendonly"}],
        "encodings": [
            {"rid": "h", "scaleResolutionDownBy": 2.5, "networkPriority": "high", "rtx": {"ssrc": 1, "x": 1}}
        ],
        "rtcp": {"cname": "", "reducedSize": True, "mux": True},
        "degradationPreference": "balanced",
    }
    assert RtpParameters.model_validate(sent).as_json() == sent
    assert RtpParameters.model_validate_json(json.dumps(sent)).as_json() == sent


def test_what_was_null_stays_null_and_what_was_absent_stays_absent() -> None:
    sent = parameters(mid=None, encodings=None)
    assert RtpParameters.model_validate(sent).as_json() == sent


@settings(deadline=None)
@given(fields=st.dictionaries(st.from_regex(r"x[ -~é]{0,20}", fullmatch=True), PLAIN, max_size=4))
def test_any_small_unknown_field_survives(fields: dict[str, Any]) -> None:
    sent = parameters(**fields)
    assert RtpParameters.model_validate(sent).as_json() == sent


@pytest.mark.parametrize(
    "sent",
    [
        parameters({"payloadType": "96"}),
        parameters({"payloadType": True}),
        parameters({"payloadType": 96.0}),
        parameters({"payloadType": 128}),
        parameters({"payloadType": -1}),
        parameters({"clockRate": 0}),
        parameters({"channels": "2"}),
        parameters({"mimeType": "video/" + "x" * 256}),
        parameters({"mimeType": 5}),
        parameters({"parameters": {"a": [1]}}),
        parameters({"parameters": {"a": 2**53}}),
        parameters({"parameters": {"a": float("nan")}}),
        parameters({"parameters": {"a" * 65: 1}}),
        parameters({"parameters": {str(number): number for number in range(65)}}),
        parameters({"rtcpFeedback": [{"type": "nack"}] * 33}),
        parameters(encodings=[{"ssrc": 2**32}]),
        parameters(encodings=[{"ssrc": -1}]),
        parameters(encodings=[{"ssrc": True}]),
        parameters(encodings=[{"rtx": {"ssrc": 1.5}}]),
        parameters(encodings=[{"rtx": {}}]),
        parameters(encodings=[{"maxBitrate": -1}]),
        parameters(encodings=[{"dtx": "yes"}]),
        parameters(encodings=[{}] * 17),
        parameters(headerExtensions=[{"uri": "u", "id": 0}]),
        parameters(headerExtensions=[{"uri": "u", "id": 256}]),
        parameters(headerExtensions=[{"uri": "u", "id": 1}] * 65),
        parameters(mid="m" * 257),
        parameters(mid="\x00"),
        parameters(msid="\ud800"),
        parameters(rtcp={"cname": "\x00"}),
        {"codecs": [CODEC] * 65},
        {},
    ],
)
def test_parameters_out_of_bounds_are_refused(sent: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RtpParameters.model_validate(sent)


@pytest.mark.parametrize(
    "unknown",
    [
        "x" * 4097,
        ["x"] * 65,
        {str(number): number for number in range(65)},
        {"x" * 4097: 1},
        10**5000,
        float("nan"),
        float("inf"),
        "\x00",
        {"\x00": 1},
        ["\udfff"],
        nested(100),
        nested(100_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_unknown_field_too_large_or_unstorable_is_refused(unknown: Any) -> None:
    for sent in (parameters(unknown=unknown), parameters({"unknown": unknown}), parameters(rtcp={"unknown": unknown})):
        with pytest.raises(ValidationError):
            RtpParameters.model_validate(sent)


def test_many_unknown_fields_of_one_object_are_refused() -> None:
    with pytest.raises(ValidationError):
        RtpParameters.model_validate(parameters(**{f"x{number}": number for number in range(65)}))


@pytest.mark.parametrize(
    "sent",
    [
        {"codecs": [CAPABILITY] * 65},
        {"codecs": [CAPABILITY | {"preferredPayloadType": 128}]},
        {"codecs": [CAPABILITY | {"kind": "data"}]},
        {"headerExtensions": [{"kind": "video", "uri": "u", "preferredId": 1}] * 65},
        {"headerExtensions": [{"kind": "video", "uri": "u", "preferredId": 1, "direction": "sideways"}]},
        {"headerExtensions": [{"uri": "u", "preferredId": 1}]},
    ],
)
def test_capabilities_out_of_bounds_are_refused(sent: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RtpCapabilities.model_validate(sent)


def test_capabilities_need_not_say_what_the_mime_type_says() -> None:
    sent = {"codecs": [{"mimeType": "video/VP8", "clockRate": 90000}]}
    assert RtpCapabilities.model_validate(sent).as_json() == sent


def test_a_bitrate_may_be_a_fraction() -> None:
    sent = parameters(encodings=[{"maxBitrate": 900_000.5}, {"maxBitrate": 150_000}])
    assert RtpParameters.model_validate(sent).as_json() == sent


@pytest.mark.parametrize("text", ["a\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host", "a\n", "\rb", "\x7f"])
def test_no_one_writes_a_line_into_anothers_session_description(text: str) -> None:
    for sent in (
        parameters(rtcp={"cname": text}),
        parameters(msid=text),
        parameters({"parameters": {"x": text}}),
        parameters({"parameters": {text: 1}}),
        parameters({"mimeType": f"video/{text}"}),
    ):
        with pytest.raises(ValidationError):
            RtpParameters.model_validate(sent)


def test_fingerprints_are_few_and_short() -> None:
    fingerprint = {"algorithm": "sha-256", "value": "AA:BB"}
    assert DtlsParameters.model_validate({"fingerprints": [fingerprint]}).role == "auto"
    for fingerprints in (
        [fingerprint] * 9,
        [fingerprint | {"value": "A" * 257}],
        [fingerprint | {"algorithm": "a" * 33}],
    ):
        with pytest.raises(ValidationError):
            DtlsParameters.model_validate({"fingerprints": fingerprints})


def test_app_data_is_kept_as_long_as_all_can_hold_it() -> None:
    assert APP_DATA.validate_python({"source": "camera", "n": [1, {"a": None}]}) == {
        "source": "camera",
        "n": [1, {"a": None}],
    }
    for unkept in (
        {"a": "x" * 8193},
        {"a": [0] * 257},
        {"a": "\x00"},
        {"\ud800": 1},
        {"a": float("inf")},
        nested(1000),
    ):
        with pytest.raises(ValidationError):
            APP_DATA.validate_python(unkept)


@pytest.mark.parametrize("model", [RtpParameters, RtpCapabilities])
def test_the_bounds_are_shown_in_the_schema(model: type[BaseModel]) -> None:
    schema = model.model_json_schema(by_alias=True)
    bounds = json.dumps(schema)
    assert '"maxItems": 64' in bounds
    assert '"maximum": 127' in bounds
    assert '"maxLength": 256' in bounds
