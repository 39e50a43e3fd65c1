"""Rules of negotiation that hold whatever is sent."""

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.rtp import RtpParameters
from sfu import ortc
from sfu.codec_matching import is_rtx
from sfu.errors import InvalidRtpParameters, SfuError
from tests.pure.ortc_vectors import numbered, vectors

FIELDS = [
    "mid",
    "codecs",
    "headerExtensions",
    "encodings",
    "rtcp",
    "msid",
    "mimeType",
    "payloadType",
    "preferredPayloadType",
    "clockRate",
    "channels",
    "parameters",
    "rtcpFeedback",
    "type",
    "parameter",
    "kind",
    "uri",
    "id",
    "preferredId",
    "encrypt",
    "preferredEncrypt",
    "direction",
    "ssrc",
    "rid",
    "rtx",
    "dtx",
    "scalabilityMode",
    "maxBitrate",
    "cname",
    "reducedSize",
    "apt",
    "profile-level-id",
    "packetization-mode",
    "profile-id",
    "streamId",
    "ordered",
    "maxPacketLifeTime",
    "maxRetransmits",
]
WORDS = [
    "video/VP8",
    "video/rtx",
    "audio/opus",
    "video/h264",
    "video/vp9",
    "42e01f",
    "audio",
    "video",
    "nack",
    "L3T3",
    "96",
    "",
]
HUGE = 10**4200
"""About the largest integer that a JSON parser of Python lets through."""

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([0, 1, 96, 97, 90000, 48000, 2**53, 2**64, HUGE, -HUGE])
    | st.sampled_from(WORDS)
    | st.text(max_size=8)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=40,
)
unhurried = settings(deadline=None)
"""What is slow on a busy machine is not wrong."""

VALIDATORS: list[Callable[[object], object]] = [
    ortc.validate_rtp_capabilities,
    ortc.validate_rtp_parameters,
    ortc.validate_sctp_stream_parameters,
]
ROUTER = ortc.router_rtp_capabilities()
PRODUCED = [case["rtpParameters"] for case in vectors("producer_mapping")["cases"]]
CAPS = vectors("can_consume")["caps"]
CONSUMABLES = vectors("can_consume")["consumables"]


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"parameters": value, "codecs": [value]}
    return value


def paths(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to everything inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return list(itertools.chain(*([(*path, key), *paths(one, (*path, key))] for key, one in inside)))


@st.composite
def nearly(draw: st.DrawFn, valid: list[Any]) -> Any:
    """A valid object with something in it replaced, taken out, or repeated."""
    value = copy.deepcopy(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(0, 3))):
        if not (ways := paths(value)):
            break
        *path, last = draw(st.sampled_from(ways))
        parent = value
        for key in path:
            parent = parent[key]
        match draw(st.sampled_from(["replace", "remove", "repeat"])):
            case "replace":
                parent[last] = draw(SCALARS | JSON)
            case "remove":
                del parent[last]
            case "repeat":
                other = copy.deepcopy(parent[last])
                parent.append(other) if isinstance(parent, list) else parent.update(
                    {draw(st.sampled_from(FIELDS)): other}
                )
    return value


def normalised(validate: Callable[[object], object], value: object) -> object:
    try:
        return validate(value)
    except SfuError:
        return None


@pytest.mark.parametrize("validate", VALIDATORS)
@unhurried
@given(value=JSON | nearly(PRODUCED) | nearly(CAPS))
@example(value=nested(100_000))
@example(value={"codecs": [{"mimeType": "video/VP8", "clockRate": HUGE, "payloadType": HUGE}]})
@example(value={"codecs": [{"mimeType": "video/VP8", "payloadType": 96, "clockRate": 1, "parameters": {"x": HUGE}}]})
@example(
    value={"codecs": [{"mimeType": "video/VP8", "payloadType": 96, "clockRate": 1, "parameters": {"x": nested(9999)}}]}
)
def test_validation_normalises_once_and_for_all_or_refuses(validate: Callable[[object], object], value: object) -> None:
    once = normalised(validate, value)
    if once is not None:
        assert validate(once) == once


@unhurried
@given(params=nearly(PRODUCED) | JSON)
def test_a_producer_is_negotiated_or_refused_and_never_changed(params: Any) -> None:
    before = repr(params)
    try:
        negotiated = ortc.negotiate_producer("video", params, ROUTER, numbered())
    except SfuError:
        return
    finally:
        assert repr(params) == before
    mapping, consumable = negotiated.mapping, negotiated.consumable
    offered = {codec["preferredPayloadType"] for codec in ROUTER["codecs"]}
    assert {codec["payloadType"] for codec in consumable["codecs"]} <= offered
    assert {codec["mappedPayloadType"] for codec in mapping["codecs"]} <= offered
    assert ortc.agreed_rtp_parameters(negotiated.rtp_parameters, ROUTER) == negotiated.rtp_parameters
    ssrcs = [stream["ssrc"] for stream in consumable["encodings"]]
    assert ssrcs == list(range(100_000_000, 100_000_000 + len(ssrcs)))


@unhurried
@given(
    consumable=st.sampled_from(CONSUMABLES),
    caps=nearly(CAPS) | JSON,
    pipe=st.booleans(),
    enable_rtx=st.booleans(),
)
def test_a_consumer_gets_no_more_than_it_can_do(consumable: Any, caps: Any, pipe: bool, enable_rtx: bool) -> None:
    try:
        remote = ortc.validate_rtp_capabilities(caps)
        can = ortc.can_consume(consumable, caps)
        consumer = ortc.consumer_rtp_parameters(consumable, caps, numbered(), pipe=pipe, enable_rtx=enable_rtx)
    except SfuError:
        return
    assert can
    known = {codec["mimeType"].lower(): codec for codec in remote["codecs"]}
    every_feedback = [feedback for codec in remote["codecs"] for feedback in codec["rtcpFeedback"]]
    for codec in consumer["codecs"]:
        assert codec["mimeType"].lower() in known
        assert all(feedback in every_feedback for feedback in codec["rtcpFeedback"])
        assert enable_rtx or not (is_rtx(codec) or {"type": "nack", "parameter": ""} in codec["rtcpFeedback"])
    ids = {(extension["preferredId"], extension["uri"]) for extension in remote["headerExtensions"]}
    assert all((extension["id"], extension["uri"]) in ids for extension in consumer["headerExtensions"])
    assert all(extension in consumable["headerExtensions"] for extension in consumer["headerExtensions"])
    repairs = {codec["parameters"].get("apt") for codec in consumer["codecs"] if is_rtx(codec)}
    assert repairs <= {codec["payloadType"] for codec in consumer["codecs"] if not is_rtx(codec)}
    assert all(("rtx" in stream) is bool(repairs) for stream in consumer["encodings"])
    assert len(consumer["encodings"]) == (len(consumable["encodings"]) if pipe else 1)


NUMBERS = st.integers(0, 127)
SENT_CODECS = st.fixed_dictionaries(
    {
        "mimeType": st.sampled_from(["video/VP8", "video/vp9", "video/AV1", "video/H264", "video/rtx"]),
        "payloadType": NUMBERS,
        "clockRate": st.just(90000),
        "parameters": st.fixed_dictionaries(
            {"packetization-mode": st.just(1)}, optional={"apt": NUMBERS, "x": st.text()}
        ),
    }
)
SENT = st.fixed_dictionaries(
    {
        "mid": st.just("0"),
        "codecs": st.lists(SENT_CODECS, min_size=1, max_size=64),
        "encodings": st.lists(st.fixed_dictionaries({"ssrc": st.integers(0, 2**32 - 1)}), max_size=16),
    },
    optional={"msid": st.text(), "rtcp": st.fixed_dictionaries({"cname": st.text()})},
)


@unhurried
@given(sent=SENT)
def test_what_comes_of_what_the_contract_lets_in_fits_the_contract(sent: Any) -> None:
    try:
        params = RtpParameters.model_validate(sent).as_json()
        negotiated = ortc.negotiate_producer("video", params, ROUTER, numbered())
    except (ValidationError, SfuError):
        return
    assert RtpParameters.model_validate(negotiated.rtp_parameters)
    consumer = ortc.consumer_rtp_parameters(negotiated.consumable, ROUTER, numbered())
    assert RtpParameters.model_validate(consumer).as_json() == consumer


@unhurried
@given(consumable=st.sampled_from(CONSUMABLES), enable_rtx=st.booleans())
def test_a_pipe_of_a_pipe_carries_the_same(consumable: Any, enable_rtx: bool) -> None:
    once = ortc.pipe_consumer_rtp_parameters(consumable, numbered(), enable_rtx=enable_rtx)
    assert ortc.pipe_consumer_rtp_parameters(once, numbered(), enable_rtx=enable_rtx) == once


@unhurried
@given(codecs=st.lists(nearly(ROUTER["codecs"]) | SCALARS, max_size=20) | SCALARS)
def test_a_router_is_made_of_codecs_or_refused(codecs: Any) -> None:
    try:
        caps = ortc.router_rtp_capabilities(codecs)
    except SfuError:
        return
    payload_types = [codec["preferredPayloadType"] for codec in caps["codecs"]]
    assert len(payload_types) == len(codecs) + sum(codec["kind"] == "video" for codec in caps["codecs"]) // 2
    assert all(codec["mimeType"] == "video/rtx" for codec in caps["codecs"] if is_rtx(codec))


@pytest.mark.parametrize("number", [True, False, "96", None, float("nan"), float("inf"), 2**53, HUGE, [96]])
def test_what_is_no_number_to_every_peer_is_no_payload_type(number: Any) -> None:
    codec = {"mimeType": "video/VP8", "payloadType": number, "clockRate": 90000}
    with pytest.raises(InvalidRtpParameters, match=r"^missing codec\.payloadType$"):
        ortc.validate_rtp_parameters({"codecs": [codec]})


def test_a_numeral_is_not_the_number_it_names() -> None:
    codec = {"mimeType": "video/VP9", "payloadType": 98, "clockRate": 90000, "parameters": {"profile-id": "0"}}
    with pytest.raises(SfuError, match="unsupported codec"):
        ortc.negotiate_producer("video", {"mid": "0", "codecs": [codec]}, ROUTER, numbered())
