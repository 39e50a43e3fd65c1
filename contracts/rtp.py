"""The shapes of mediasoup-client's parameters, kept untouched: a browser sends more than is specified and a receiver may need it.

Only what a reader relies on is typed here; `sfu.ortc` judges the rest. JSON names are those of the ORTC API, RFC 8834 names the ideas.
"""

from enum import StrEnum
from typing import Literal

from pydantic import ConfigDict, JsonValue

from contracts.message import Message


class Kind(StrEnum):
    """What a track carries."""

    AUDIO = "audio"
    VIDEO = "video"


class Open(Message):
    """A message whose unknown fields survive."""

    model_config = ConfigDict(extra="allow")

    def as_json(self) -> dict[str, JsonValue]:
        """Return the JSON object as it was sent: camelCase, nothing added."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class RtcpFeedback(Open):
    type: str
    parameter: str | None = None


class RtpCodecParameters(Open):
    mime_type: str
    payload_type: int
    clock_rate: int
    channels: int | None = None
    parameters: dict[str, JsonValue] | None = None
    rtcp_feedback: list[RtcpFeedback] | None = None


class RtpHeaderExtensionParameters(Open):
    uri: str
    id: int
    encrypt: bool | None = None
    parameters: dict[str, JsonValue] | None = None


class RtpEncodingRtx(Open):
    ssrc: int


class RtpEncodingParameters(Open):
    ssrc: int | None = None
    rid: str | None = None
    rtx: RtpEncodingRtx | None = None
    codec_payload_type: int | None = None
    dtx: bool | None = None
    scalability_mode: str | None = None
    max_bitrate: int | None = None


class RtcpParameters(Open):
    cname: str | None = None
    reduced_size: bool | None = None


class RtpParameters(Open):
    """What a producer sends, or a consumer receives."""

    mid: str | None = None
    codecs: list[RtpCodecParameters]
    header_extensions: list[RtpHeaderExtensionParameters] | None = None
    encodings: list[RtpEncodingParameters] | None = None
    rtcp: RtcpParameters | None = None
    msid: str | None = None


class RtpCodecCapability(Open):
    kind: Kind
    mime_type: str
    preferred_payload_type: int | None = None
    clock_rate: int
    channels: int | None = None
    parameters: dict[str, JsonValue] | None = None
    rtcp_feedback: list[RtcpFeedback] | None = None


class RtpHeaderExtensionCapability(Open):
    kind: Kind
    uri: str
    preferred_id: int
    preferred_encrypt: bool | None = None
    direction: Literal["sendrecv", "sendonly", "recvonly", "inactive"] | None = None


class RtpCapabilities(Open):
    """What a router or a device can send or receive."""

    codecs: list[RtpCodecCapability] | None = None
    header_extensions: list[RtpHeaderExtensionCapability] | None = None


class IceParameters(Message):
    username_fragment: str
    password: str
    ice_lite: bool = True


class IceCandidate(Message):
    """One address to send to. `ip` is the older name of `address`; both are sent."""

    foundation: str
    priority: int
    ip: str
    address: str
    port: int
    protocol: Literal["udp", "tcp"] = "udp"
    type: Literal["host"] = "host"
    tcp_type: Literal["passive"] | None = None


class DtlsFingerprint(Message):
    algorithm: str
    value: str


class DtlsParameters(Message):
    role: Literal["auto", "client", "server"] = "auto"
    fingerprints: list[DtlsFingerprint]


class IceServer(Message):
    urls: list[str]
    username: str | None = None
    credential: str | None = None
