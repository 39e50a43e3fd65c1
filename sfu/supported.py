"""What a router can forward: codecs, header extensions, and the numbers they get.

The tables are mediasoup's (ISC), so that its client finds what it knows; ids and payload types of a router's capabilities
are those its receivers see. A direction is the router's: `recvonly` is taken from producers and not sent to consumers.
"""

from typing import Final

from sfu.ortc_shapes import (
    Parameters,
    RtcpFeedbackJson,
    RtpCapabilitiesJson,
    RtpCodecCapabilityJson,
    RtpHeaderExtensionCapabilityJson,
)

MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
RTP_STREAM_ID: Final = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RTP_STREAM_ID: Final = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_WIDE_CC: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
SSRC_AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
DEPENDENCY_DESCRIPTOR: Final = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
VIDEO_ORIENTATION: Final = "urn:3gpp:video-orientation"
TOFFSET: Final = "urn:ietf:params:rtp-hdrext:toffset"
ABS_CAPTURE_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
PLAYOUT_DELAY: Final = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
PACKET_ID: Final = "urn:mediasoup:params:rtp-hdrext:packet-id"

DEPENDENCY_DESCRIPTOR_ID: Final = 7
DYNAMIC_PAYLOAD_TYPES: Final = (*range(100, 128), *range(96, 100))
"""In the order they are given out (RFC 3551 §6)."""


def _feedback(*kinds: str) -> list[RtcpFeedbackJson]:
    """Return kinds of feedback written as in SDP: `nack`, `nack pli`."""
    return [{"type": kind.partition(" ")[0], "parameter": kind.partition(" ")[2]} for kind in kinds]


def audio(
    name: str, clock_rate: int, *feedback: str, channels: int = 1, parameters: Parameters | None = None
) -> RtpCodecCapabilityJson:
    return {
        "kind": "audio",
        "mimeType": f"audio/{name}",
        "clockRate": clock_rate,
        "channels": channels,
        "parameters": parameters or {},
        "rtcpFeedback": _feedback(*feedback),
    }


def _static(name: str, clock_rate: int, payload_type: int, *feedback: str) -> RtpCodecCapabilityJson:
    return {**audio(name, clock_rate, *feedback), "preferredPayloadType": payload_type}


def _multiopus(channels: int, mapping: str, streams: int, coupled: int) -> RtpCodecCapabilityJson:
    parameters: Parameters = {"channel_mapping": mapping, "num_streams": streams, "coupled_streams": coupled}
    return audio("multiopus", 48000, "nack", "transport-cc", channels=channels, parameters=parameters)


def video(name: str, parameters: Parameters | None = None) -> RtpCodecCapabilityJson:
    return {
        "kind": "video",
        "mimeType": f"video/{name}",
        "clockRate": 90000,
        "parameters": parameters or {},
        "rtcpFeedback": _feedback("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"),
    }


def _extension(kind: str, uri: str, identifier: int, direction: str = "sendrecv") -> RtpHeaderExtensionCapabilityJson:
    return {
        "kind": kind,
        "uri": uri,
        "preferredId": identifier,
        "preferredEncrypt": False,
        "direction": direction,
    }


SUPPORTED_RTP_CAPABILITIES: Final[RtpCapabilitiesJson] = {
    "codecs": [
        audio("opus", 48000, "nack", "transport-cc", channels=2),
        _multiopus(4, "0,1,2,3", 2, 2),
        _multiopus(6, "0,4,1,2,3,5", 4, 2),
        _multiopus(8, "0,6,1,2,3,4,5,7", 5, 3),
        _static("PCMU", 8000, 0, "transport-cc"),
        _static("PCMA", 8000, 8, "transport-cc"),
        audio("ISAC", 32000, "transport-cc"),
        audio("ISAC", 16000, "transport-cc"),
        _static("G722", 8000, 9, "transport-cc"),
        audio("iLBC", 8000, "transport-cc"),
        *(audio("SILK", clock_rate, "transport-cc") for clock_rate in (24000, 16000, 12000, 8000)),
        *(_static("CN", clock_rate, 13) for clock_rate in (32000, 16000, 8000)),
        *(audio("telephone-event", clock_rate) for clock_rate in (48000, 32000, 16000, 8000)),
        video("VP8"),
        video("VP9"),
        video("H264", {"level-asymmetry-allowed": 1}),
        video("AV1"),
    ],
    "headerExtensions": [
        _extension("audio", MID, 1),
        _extension("video", MID, 1),
        _extension("video", RTP_STREAM_ID, 2, "recvonly"),
        _extension("video", REPAIRED_RTP_STREAM_ID, 3, "recvonly"),
        _extension("audio", ABS_SEND_TIME, 4),
        _extension("video", ABS_SEND_TIME, 4),
        _extension("audio", TRANSPORT_WIDE_CC, 5, "recvonly"),
        _extension("video", TRANSPORT_WIDE_CC, 5),
        _extension("audio", SSRC_AUDIO_LEVEL, 6),
        _extension("video", DEPENDENCY_DESCRIPTOR, DEPENDENCY_DESCRIPTOR_ID, "recvonly"),
        _extension("video", VIDEO_ORIENTATION, 8),
        _extension("video", TOFFSET, 9),
        _extension("audio", ABS_CAPTURE_TIME, 10),
        _extension("video", ABS_CAPTURE_TIME, 10),
        _extension("audio", PLAYOUT_DELAY, 11),
        _extension("video", PLAYOUT_DELAY, 11),
        _extension("audio", PACKET_ID, 12),
        _extension("video", PACKET_ID, 12),
    ],
}
"""Shared and never changed: negotiation copies what it alters."""
