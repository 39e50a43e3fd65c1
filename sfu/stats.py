"""Counters as clients read them: mediasoup's names, milliseconds, one JSON object a stream."""

from pydantic import JsonValue

from contracts.rtp import Kind
from sfu.plane.seat import StreamStats, TransportStats

JsonObject = dict[str, JsonValue]


def transport_stats(transport_id: str, timestamp: int, counters: TransportStats) -> JsonObject:
    """Return a transport's counters, without its states."""
    return {
        "type": "webrtc-transport",
        "transportId": transport_id,
        "timestamp": timestamp,
        "bytesReceived": counters.bytes_received,
        "bytesSent": counters.bytes_sent,
        "rtpBytesReceived": counters.rtp_bytes_received,
        "rtpBytesSent": counters.rtp_bytes_sent,
        "rtxBytesReceived": counters.rtx_bytes_received,
        "rtxBytesSent": counters.rtx_bytes_sent,
        "packetsDiscarded": counters.packets_discarded,
    }


def stream_stats(direction: str, kind: Kind, timestamp: int, counters: StreamStats) -> JsonObject:
    """Return a stream's counters; `direction` is "inbound-rtp" or "outbound-rtp". Jitter is in ticks, the round trip in ms."""
    stats: JsonObject = {
        "type": direction,
        "timestamp": timestamp,
        "ssrc": counters.ssrc,
        "kind": kind.value,
        "mimeType": counters.mime_type,
        "packetCount": counters.packet_count,
        "byteCount": counters.byte_count,
        "bitrate": counters.bitrate,
        "packetsLost": counters.packets_lost,
        "fractionLost": counters.fraction_lost,
        "jitter": counters.jitter,
        "packetsDiscarded": counters.packets_discarded,
        "packetsRetransmitted": counters.packets_retransmitted,
        "packetsRepaired": counters.packets_repaired,
        "nackCount": counters.nack_count,
        "nackPacketCount": counters.nack_packet_count,
        "pliCount": counters.pli_count,
        "firCount": counters.fir_count,
        "roundTripTime": counters.round_trip_time,
    }
    if counters.rtx_ssrc is not None:
        stats["rtxSsrc"] = counters.rtx_ssrc
    if counters.score is not None:
        stats["score"] = counters.score
    return stats
