"""What control refuses, and that it changes nothing then; what it tells the plane and gives receivers. No peer needed."""

from collections.abc import AsyncIterator
from random import Random

import pytest
from pydantic import JsonValue

from contracts.ids import ConsumerId, ProducerId, RouterId, TransportId
from contracts.rtp import Kind, RtpCapabilities, RtpParameters
from sfu.errors import InvalidRtpParameters, InvalidState, UnsupportedCodec
from sfu.plane import seat
from sfu.streams import check_ranges
from sfu.supported import ABS_SEND_TIME, TRANSPORT_WIDE_CC
from sfu.transport import WebRtcTransport
from sfu.worker import Worker, WorkerSettings
from tests.sfu.conftest import HERE
from tests.sfu.peer import capabilities
from tests.sfu.room import Room, room

OPUS: JsonValue = {"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}
VP8: JsonValue = {
    "mimeType": "video/VP8",
    "payloadType": 96,
    "clockRate": 90000,
    "rtcpFeedback": [{"type": "nack", "parameter": "pli"}, {"type": "transport-cc", "parameter": ""}],
}
RTX: JsonValue = {"mimeType": "video/rtx", "payloadType": 97, "clockRate": 90000, "parameters": {"apt": 96}}


def sent(*codecs: JsonValue, **changes: JsonValue) -> RtpParameters:
    """Return what a browser might send."""
    params = {"mid": "0", "codecs": list(codecs), "encodings": [{"ssrc": 1111}], "rtcp": {"cname": "someone"}}
    return RtpParameters.model_validate(params | changes)


@pytest.fixture(params=["silent", *HERE])
async def here(request: pytest.FixtureRequest) -> AsyncIterator[Room]:
    async with room(plane=request.param) as made:
        yield made


def produced(transport: WebRtcTransport, name: str, kind: Kind, params: RtpParameters):
    return transport.produce(ProducerId(name), kind, params, paused=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"encodings": [{"rid": "r0"}, {"rid": "r1"}]},
        {"encodings": [{"ssrc": 1}, {"ssrc": 2}]},
        {"encodings": [{"ssrc": 1, "scalabilityMode": "L1T3"}]},
        {"encodings": [{"ssrc": 1, "scalabilityMode": "L3T3_KEY"}]},
    ],
    ids=str,
)
async def test_simulcast_and_layers_are_refused_with_a_type(here: Room, changes: dict[str, JsonValue]) -> None:
    transport = here.transport()
    with pytest.raises(UnsupportedCodec):
        produced(transport, "p", Kind.VIDEO, sent(VP8, RTX, **changes))
    assert not transport.producers
    assert produced(transport, "p", Kind.VIDEO, sent(VP8, RTX, encodings=[{"ssrc": 1, "scalabilityMode": "L1T1"}]))


async def test_a_codec_that_the_router_has_not_is_refused(here: Room) -> None:
    with pytest.raises(UnsupportedCodec):
        produced(
            here.transport(), "p", Kind.VIDEO, sent({"mimeType": "video/H265", "payloadType": 96, "clockRate": 90000})
        )


@pytest.mark.parametrize(
    "params",
    [
        sent(OPUS, encodings=[{"ssrc": 1111}], mid="1"),
        sent(VP8, RTX, encodings=[{"ssrc": 5, "rtx": {"ssrc": 1111}}], mid="1"),
        sent(OPUS, encodings=[{"ssrc": 2}], mid="0"),
        sent(OPUS, encodings=[{}], mid=None),
        sent(mid="1"),
    ],
    ids=lambda params: str(params.as_json())[:60],
)
async def test_streams_that_could_not_be_told_apart_are_refused_and_nothing_changes(here: Room, params) -> None:
    transport = here.transport()
    first = produced(transport, "first", Kind.AUDIO, sent(OPUS))
    with pytest.raises(InvalidRtpParameters):
        produced(transport, "second", Kind(params.codecs[0].mime_type[:5]) if params.codecs else Kind.AUDIO, params)
    assert list(transport.producers.values()) == [first]
    assert list(here.router.producers.values()) == [first]
    assert here.worker.load().streams == 1
    assert produced(here.transport(), "elsewhere", Kind.AUDIO, sent(OPUS))


@pytest.mark.parametrize(
    "changes",
    [
        {"codecs": [{"payloadType": 128}]},
        {"codecs": [{"payloadType": 96.5}]},
        {"encodings": [{"ssrc": 2**32}]},
        {"encodings": [{"ssrc": 1, "rtx": {"ssrc": -1}}]},
        {"headerExtensions": [{"id": 256}]},
    ],
    ids=str,
)
def test_numbers_that_no_packet_can_carry_are_refused(changes) -> None:
    params = {"codecs": [{"payloadType": 96}], "encodings": [{"ssrc": 1}], "headerExtensions": [{"id": 1}]}
    check_ranges(params)
    with pytest.raises(InvalidRtpParameters):
        check_ranges(params | changes)


async def test_an_id_is_used_once_while_it_lives(here: Room) -> None:
    transport = here.transport()
    producer = produced(transport, "p", Kind.AUDIO, sent(OPUS))
    with pytest.raises(InvalidState):
        produced(here.transport(), "p", Kind.AUDIO, sent(OPUS))
    with pytest.raises(InvalidState):
        here.router.create_webrtc_transport(transport.id)
    with pytest.raises(InvalidState):
        here.worker.create_router(here.router.id)
    here.consume(transport, producer)
    consumer_id = next(iter(transport.consumers))
    with pytest.raises(InvalidState):
        transport.consume(consumer_id, producer.id, capabilities(here.router.rtp_capabilities), paused=False)
    producer.close()
    assert produced(transport, "p", Kind.AUDIO, sent(OPUS))


async def test_a_transport_carries_a_thousand_consumers_and_no_more(here: Room, monkeypatch) -> None:
    monkeypatch.setattr("sfu.transport.MAX_CONSUMERS", 2)
    transport = here.transport()
    producer = produced(transport, "p", Kind.AUDIO, sent(OPUS))
    for _ in range(2):
        here.consume(transport, producer)
    with pytest.raises(InvalidState):
        here.consume(transport, producer)
    assert len(transport.consumers) == len(producer.consumers) == 2


async def test_what_is_closed_does_nothing_any_more(here: Room) -> None:
    transport = here.transport()
    producer = produced(transport, "p", Kind.VIDEO, sent(VP8))
    consumer = here.consume(transport, producer)
    transport.close()
    for useless in (producer.pause, producer.resume, consumer.pause, consumer.resume, consumer.request_key_frame):
        useless()
    with pytest.raises(InvalidState):
        transport.restart_ice()
    with pytest.raises(InvalidState):
        produced(transport, "q", Kind.AUDIO, sent(OPUS))
    with pytest.raises(InvalidState):
        await transport.connect(transport.dtls_parameters)
    assert transport.stats() == []


async def test_a_receiver_must_know_the_codec(here: Room) -> None:
    transport = here.transport()
    video = produced(transport, "v", Kind.VIDEO, sent(VP8))
    caps = capabilities(here.router.rtp_capabilities)
    deaf = RtpCapabilities(codecs=[codec for codec in caps.codecs or [] if codec.kind is Kind.AUDIO])
    assert here.router.can_consume(video.id, caps)
    assert not here.router.can_consume(video.id, deaf)
    assert not here.router.can_consume(ProducerId("nobody"), caps)
    with pytest.raises(UnsupportedCodec):
        transport.consume(ConsumerId("c"), video.id, deaf, paused=False)
    with pytest.raises(InvalidState):
        transport.consume(ConsumerId("c"), ProducerId("nobody"), caps, paused=False)
    assert not transport.consumers


async def test_consumers_get_the_routers_numbers_a_mid_each_and_the_participants_cname(here: Room) -> None:
    sending, receiving = here.transport(), here.transport()
    audio = produced(sending, "a", Kind.AUDIO, sent(OPUS))
    video = produced(sending, "v", Kind.VIDEO, sent(VP8, RTX, mid="1", encodings=[{"ssrc": 5}], rtcp={"cname": ""}))
    heard, seen = here.consume(receiving, audio), here.consume(receiving, video)
    assert (heard.rtp_parameters.mid, seen.rtp_parameters.mid) == ("0", "1")
    assert heard.rtp_parameters.codecs[0].payload_type == 100
    assert [codec.payload_type for codec in seen.rtp_parameters.codecs] == [101, 102]
    assert heard.rtp_parameters.rtcp.cname == seen.rtp_parameters.rtcp.cname == "someone"
    encodings = [each.rtp_parameters.encodings[0] for each in (heard, seen)]
    assert encodings[1].rtx.ssrc == encodings[1].ssrc + 1
    assert encodings[0].ssrc not in (encodings[1].ssrc, encodings[1].rtx.ssrc)


async def test_no_bandwidth_feedback_is_negotiated_that_the_plane_does_not_use(here: Room) -> None:
    transport = here.transport()
    video = produced(transport, "v", Kind.VIDEO, sent(VP8))
    caps = RtpCapabilities.model_validate(here.router.rtp_capabilities)
    params = transport.consume(ConsumerId("c"), video.id, caps, paused=False).rtp_parameters.as_json()
    assert {each["type"] for codec in params["codecs"] for each in codec["rtcpFeedback"]} == {"nack", "ccm"}
    assert not [
        each for each in params["headerExtensions"] if "abs-send" in each["uri"] or "transport-wide" in each["uri"]
    ]
    offered = [each for each in here.router.rtp_capabilities["headerExtensions"] if "transport-wide" in each["uri"]]
    assert {each["direction"] for each in offered} == {"recvonly"}


@pytest.mark.parametrize(
    ("feedback", "extensions", "remb"),
    [
        (["goog-remb"], [ABS_SEND_TIME], True),
        (["goog-remb", "transport-cc"], [ABS_SEND_TIME, TRANSPORT_WIDE_CC], False),
        (["goog-remb"], [], False),
        ([], [ABS_SEND_TIME], False),
    ],
)
async def test_the_plane_learns_of_the_rid_and_who_has_nothing_but_an_estimate_to_go_by(
    monkeypatch: pytest.MonkeyPatch, feedback: list[str], extensions: list[str], remb: bool
) -> None:
    async with room(plane="silent") as here:
        ordered: list[seat.Order] = []
        monkeypatch.setattr(here.worker.plane, "order", ordered.append)
        codec = {**VP8, "rtcpFeedback": [{"type": each, "parameter": ""} for each in feedback]}
        ids: JsonValue = [{"uri": uri, "id": number} for number, uri in enumerate(extensions, 1)]
        produced(here.transport(), "p", Kind.VIDEO, sent(codec, RTX, encodings=[{"rid": "h"}], headerExtensions=ids))
        (order,) = [each for each in ordered if isinstance(each, seat.AddProducer)]
        assert (order.rid, order.remb) == ("h", remb)


async def test_the_same_random_source_draws_the_same_numbers() -> None:
    drawn = []
    for _ in range(2):
        source = Random(7)
        worker = await Worker.create(WorkerSettings(), random=source.randrange)
        transport = worker.create_router(RouterId("r")).create_webrtc_transport(TransportId("t"))
        produced(transport, "v", Kind.VIDEO, sent(VP8, RTX))
        consumer = transport.consume(
            ConsumerId("c"),
            ProducerId("v"),
            RtpCapabilities.model_validate(worker.routers[RouterId("r")].rtp_capabilities),
            False,
        )
        drawn.append((transport.ice_parameters, consumer.rtp_parameters))
        await worker.close()
    assert drawn[0] == drawn[1]
