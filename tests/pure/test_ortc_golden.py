"""Our negotiation gives what mediasoup gives, row for row: results, and the class and text of errors."""

from collections.abc import Callable

import pytest

from sfu import ortc
from sfu.supported import SUPPORTED_RTP_CAPABILITIES
from tests.pure.ortc_vectors import as_expected, numbered, outcome, vectors


@pytest.mark.parametrize(
    ("table", "validate"),
    [
        ("validate_rtp_capabilities", ortc.validate_rtp_capabilities),
        ("validate_rtp_parameters", ortc.validate_rtp_parameters),
        ("validate_sctp_stream_parameters", ortc.validate_sctp_stream_parameters),
    ],
)
def test_json_from_outside_is_normalised_or_refused(table: str, validate: Callable[[object], object]) -> None:
    rows = vectors(table)["cases"]
    wrong = [row for row in rows if not as_expected(outcome(lambda row=row: validate(row["input"])), row, "normalized")]
    assert not wrong


def test_a_router_supports_what_mediasoup_supports() -> None:
    assert vectors("supported_rtp_capabilities") == SUPPORTED_RTP_CAPABILITIES


def test_a_router_offers_the_codecs_it_was_made_for() -> None:
    wrong = [
        row
        for row in vectors("router_rtp_capabilities")["cases"]
        if not as_expected(outcome(lambda row=row: ortc.router_rtp_capabilities(*row["input"])), row, "output")
    ]
    assert not wrong


def test_a_producer_is_mapped_to_the_routers_numbers() -> None:
    table = vectors("producer_mapping")
    wrong = []
    for row in table["cases"]:
        params, router = row["rtpParameters"], table["routers"][row["routerIndex"]]
        got = outcome(lambda params=params, router=router: ortc.producer_rtp_mapping(params, router, numbered()))
        if not as_expected(got, row, "mapping"):
            wrong.append(row)
    assert not wrong


def test_a_producer_agrees_on_the_h264_level_and_on_nothing_else() -> None:
    table = vectors("producer_mapping")
    wrong = [
        row
        for row in table["cases"]
        if "mapping" in row
        and ortc.agreed_rtp_parameters(row["rtpParameters"], table["routers"][row["routerIndex"]])
        != row.get("rtpParameters_after", row["rtpParameters"])
    ]
    assert not wrong


def test_what_is_consumable_of_a_producer_has_the_routers_numbers() -> None:
    table = vectors("consumable_rtp_parameters")
    wrong = []
    for row in table["cases"]:
        router = table["routers"][row["routerIndex"]]
        got = outcome(
            lambda row=row, router=router: ortc.consumable_rtp_parameters(
                row["kind"], row["rtpParameters"], router, row["mapping"]
            )
        )
        if not as_expected(got, row, "consumable"):
            wrong.append(row)
    assert not wrong


def test_a_receiver_can_consume_what_it_can_decode() -> None:
    table = vectors("can_consume")
    wrong = [
        row
        for row in table["cases"]
        if ortc.can_consume(table["consumables"][row[0]], table["caps"][row[1]]) is not row[2]
    ]
    assert not wrong


def test_a_consumer_is_the_producer_cut_down_to_the_receiver() -> None:
    table = vectors("consumer_rtp_parameters")
    wrong = []
    for row in table["cases"]:
        consumable, caps = table["consumables"][row["consumableIndex"]], table["caps"][row["capsIndex"]]
        got = outcome(
            lambda row=row, consumable=consumable, caps=caps: ortc.consumer_rtp_parameters(
                consumable, caps, numbered(), pipe=row["pipe"], enable_rtx=row["enableRtx"]
            )
        )
        if not as_expected(got, row, "output"):
            wrong.append(row)
    assert not wrong


def test_a_pipe_carries_all_streams_to_another_router() -> None:
    table = vectors("pipe_consumer_rtp_parameters")
    wrong = []
    for row in table["cases"]:
        consumable = table["consumables"][row["consumableIndex"]]
        got = outcome(
            lambda row=row, consumable=consumable: ortc.pipe_consumer_rtp_parameters(
                consumable, numbered(), enable_rtx=row["enableRtx"]
            )
        )
        if not as_expected(got, row, "output"):
            wrong.append(row)
    assert not wrong


def test_a_scalability_mode_says_how_many_layers_there_are() -> None:
    for row in vectors("scalability_mode")["cases"]:
        mode = ortc.parse_scalability_mode(row["input"])
        assert row["output"] == {
            "spatialLayers": mode.spatial_layers,
            "temporalLayers": mode.temporal_layers,
            "ksvc": mode.ksvc,
        }


@pytest.mark.parametrize(
    ("mode", "layers"),
    [
        (None, (1, 1, False)),
        ("", (1, 1, False)),
        ("L3T3_KEY", (3, 3, True)),
        ("L3T3_KEY_SHIFT", (3, 3, True)),
        ("L0T3", (1, 1, False)),
        ("l3t3", (1, 1, False)),
        ("L٣T3", (1, 1, False)),
        (" L3T3", (1, 1, False)),
    ],
)
def test_a_mode_that_is_none_is_a_single_layer(mode: str | None, layers: tuple[int, int, bool]) -> None:
    assert ortc.parse_scalability_mode(mode) == layers
