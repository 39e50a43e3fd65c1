"""From parameters to what a packet plane is ordered: which streams a transport can hold, in numbers that fit their fields."""

from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from contracts.ids import ConsumerId, ProducerId, TransportId
from contracts.rtp import Kind, RtpCapabilities
from sfu.codec_matching import is_rtx
from sfu.errors import InvalidRtpParameters
from sfu.ortc import NegotiatedProducer, RandomSsrc, consumer_rtp_parameters
from sfu.ortc_shapes import RtpCodecJson, RtpHeaderExtensionJson, RtpParametersJson
from sfu.plane.seat import AddConsumer, AddProducer, Codec
from sfu.producer import Producer
from sfu.supported import ABS_SEND_TIME, TRANSPORT_WIDE_CC

NOT_TO_CONSUMERS = {ABS_SEND_TIME, TRANSPORT_WIDE_CC}
"""The reference plane does not estimate bandwidth; to negotiate these would only cost the receivers reports."""


def consumed(
    consumable: RtpParametersJson, rtp_capabilities: RtpCapabilities, random: RandomSsrc, mid: str
) -> RtpParametersJson:
    """Return what a consumer with this mid sends to a receiver. Raises InvalidRtpParameters, UnsupportedCodec."""
    caps = rtp_capabilities.as_json()
    extensions = caps.get("headerExtensions")
    if isinstance(extensions, list):
        wanted: list[JsonValue] = [
            e for e in extensions if isinstance(e, dict) and e.get("uri") not in NOT_TO_CONSUMERS
        ]
        caps = {**caps, "headerExtensions": wanted}
    return {**consumer_rtp_parameters(consumable, caps, random), "mid": mid}


def check_free(params: RtpParametersJson, producers: Iterable[Producer]) -> None:
    """Refuse what would make packets ambiguous beside these producers (RFC 8843 §9.2). Raises InvalidRtpParameters."""
    for producer in producers:
        other = producer.rtp_parameters
        taken = {each.ssrc for each in other.encodings or []} | {e.rtx.ssrc for e in other.encodings or [] if e.rtx}
        if not taken.isdisjoint(ssrcs(params)):
            raise InvalidRtpParameters(f"an ssrc is used by producer {producer.id} already")
        if other.mid and other.mid == params.get("mid"):
            raise InvalidRtpParameters(f"mid {other.mid} is used by producer {producer.id} already")


def add_producer(
    transport: TransportId, producer: ProducerId, kind: Kind, negotiated: NegotiatedProducer, paused: bool
) -> AddProducer:
    """Return the order for a producer of one stream. Raises InvalidRtpParameters for numbers that no packet can carry."""
    params = negotiated.rtp_parameters
    check_ranges(params)
    encoding = params["encodings"][0]
    rtx = encoding.get("rtx")
    extensions = _extension_ids(params["headerExtensions"])
    feedback = {(each["type"], each["parameter"]) for codec in params["codecs"] for each in codec["rtcpFeedback"]}
    transport_cc = ("transport-cc", "") in feedback
    return AddProducer(
        transport=transport,
        producer=producer,
        kind=kind,
        codecs=tuple(_codecs(negotiated)),
        extensions=extensions,
        ssrc=encoding.get("ssrc") or None,
        rtx_ssrc=rtx["ssrc"] or None if rtx else None,
        mid=params.get("mid") or None,
        nack=("nack", "") in feedback,
        pli=("nack", "pli") in feedback,
        fir=("ccm", "fir") in feedback,
        transport_cc=transport_cc,
        paused=paused,
        rid=encoding.get("rid") or None,
        remb=("goog-remb", "") in feedback and ABS_SEND_TIME in extensions and not transport_cc,
    )


def add_consumer(
    transport: TransportId,
    consumer: ConsumerId,
    producer: ProducerId,
    params: RtpParametersJson,
    *,
    first_sequences: tuple[int, int],
    paused: bool,
) -> AddConsumer:
    """Return the order for a consumer; `first_sequences` of the stream and of its retransmissions."""
    encoding = params["encodings"][0]
    rtx = encoding.get("rtx")
    return AddConsumer(
        transport=transport,
        consumer=consumer,
        producer=producer,
        ssrc=encoding["ssrc"],
        rtx_ssrc=rtx["ssrc"] if rtx else None,
        payload_types=_payload_types(params["codecs"]),
        extensions=_extension_ids(params["headerExtensions"]),
        mid=params.get("mid", ""),
        cname=params["rtcp"].get("cname", ""),
        first_sequence=first_sequences[0],
        first_rtx_sequence=first_sequences[1],
        paused=paused,
    )


def ssrcs(params: RtpParametersJson) -> list[int]:
    """Return every SSRC that the parameters name."""
    named = [encoding.get("ssrc") for encoding in params["encodings"]]
    return [each for each in [*named, *(e["rtx"]["ssrc"] for e in params["encodings"] if e.get("rtx"))] if each]


def check_ranges(params: RtpParametersJson) -> None:
    """Refuse numbers that do not fit their fields (RFC 3550 §5.1, RFC 8285 §4). Raises InvalidRtpParameters."""
    _within("codec.payloadType", (codec["payloadType"] for codec in params["codecs"]), 0, 127)
    _within("ext.id", (extension["id"] for extension in params["headerExtensions"]), 1, 255)
    _within("encoding.ssrc", ssrcs(params), 1, 0xFFFFFFFF)


def _within(what: str, values: Iterable[int], least: int, most: int) -> None:
    for value in values:
        if not isinstance(value, int) or not least <= value <= most:
            raise InvalidRtpParameters(f"invalid {what}")


def _codecs(negotiated: NegotiatedProducer) -> Iterable[Codec]:
    codecs = negotiated.rtp_parameters["codecs"]
    mapped = {each["payloadType"]: each["mappedPayloadType"] for each in negotiated.mapping["codecs"]}
    retransmissions = _payload_types(codecs)
    for codec in codecs:
        if not is_rtx(codec):
            payload_type = codec["payloadType"]
            yield Codec(
                codec["mimeType"],
                codec["clockRate"],
                payload_type,
                mapped[payload_type],
                retransmissions[payload_type],
            )


def _payload_types(codecs: list[RtpCodecJson]) -> Mapping[int, int | None]:
    """Return each media codec's payload type with that of its retransmissions."""
    retransmissions = {codec["parameters"].get("apt"): codec["payloadType"] for codec in codecs if is_rtx(codec)}
    return {codec["payloadType"]: retransmissions.get(codec["payloadType"]) for codec in codecs if not is_rtx(codec)}


def _extension_ids(extensions: list[RtpHeaderExtensionJson]) -> dict[str, int]:
    return {extension["uri"]: extension["id"] for extension in extensions}
