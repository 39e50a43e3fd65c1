"""The shapes of mediasoup-client's parameters, kept untouched: a browser sends more than is specified and a receiver may need it.

Only what a reader relies on is typed here; `sfu.ortc` judges the rest. JSON names are those of the ORTC API, RFC 8834 names the ideas.
Everything that comes from a client is bounded, unknown fields too: what one participant sends is stored and given to all others.
Values are not coerced: a payload type of `"96"` or `true` is refused, because what is kept is what was sent.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from contracts.message import Message
from contracts.plain_json import at_most

LARGEST_NUMBER = 2**53 - 1
check_unknown = at_most(values=64, characters=4096)

ONE_LINE = r"^[^\x00-\x1F\x7F]*$"
"""A line break in one participant's cname or `fmtp` would be a line of everybody else's session description."""

Text = Annotated[str, Field(max_length=256, pattern=ONE_LINE)]
Name = Annotated[str, Field(max_length=64, pattern=ONE_LINE)]
Integer = Annotated[int, Field(strict=True, ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
Fraction = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
Flag = Annotated[bool, Field(strict=True)]
PayloadType = Annotated[int, Field(strict=True, ge=0, le=127)]
Ssrc = Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)]
ExtensionId = Annotated[int, Field(strict=True, ge=1, le=255)]
ClockRate = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
Channels = Annotated[int, Field(strict=True, ge=1, le=255)]
Bitrate = Annotated[int, Field(strict=True, ge=0, le=LARGEST_NUMBER)] | Annotated[Fraction, Field(ge=0)]
Parameters = Annotated[dict[Name, Text | Integer | Fraction | Flag | None], Field(max_length=64)]
"""A codec's `fmtp` parameters, or a header extension's."""


class Kind(StrEnum):
    """What a track carries."""

    AUDIO = "audio"
    VIDEO = "video"


class Open(Message):
    """A message whose unknown fields survive, as long as they are few and small."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Name, JsonValue] = Field(init=False)

    @model_validator(mode="after")
    def _unknown_fields_are_small(self) -> Self:
        check_unknown(self.model_extra or {})
        return self

    def as_json(self) -> dict[str, JsonValue]:
        """Return the JSON object as it was sent: camelCase, nothing added."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class RtcpFeedback(Open):
    type: Text
    parameter: Text | None = None


Feedbacks = Annotated[list[RtcpFeedback], Field(max_length=32)]


class RtpCodecParameters(Open):
    mime_type: Text
    payload_type: PayloadType
    clock_rate: ClockRate
    channels: Channels | None = None
    parameters: Parameters | None = None
    rtcp_feedback: Feedbacks | None = None


class RtpHeaderExtensionParameters(Open):
    uri: Text
    id: ExtensionId
    encrypt: Flag | None = None
    parameters: Parameters | None = None


class RtpEncodingRtx(Open):
    ssrc: Ssrc


class RtpEncodingParameters(Open):
    ssrc: Ssrc | None = None
    rid: Text | None = None
    rtx: RtpEncodingRtx | None = None
    codec_payload_type: PayloadType | None = None
    dtx: Flag | None = None
    scalability_mode: Text | None = None
    max_bitrate: Bitrate | None = None


class RtcpParameters(Open):
    cname: Text | None = None
    reduced_size: Flag | None = None


class RtpParameters(Open):
    """What a producer sends, or a consumer receives."""

    mid: Text | None = None
    codecs: Annotated[list[RtpCodecParameters], Field(max_length=64)]
    header_extensions: Annotated[list[RtpHeaderExtensionParameters], Field(max_length=64)] | None = None
    encodings: Annotated[list[RtpEncodingParameters], Field(max_length=16)] | None = None
    rtcp: RtcpParameters | None = None
    msid: Text | None = None


class RtpCodecCapability(Open):
    """A codec that can be received. `kind` is what the MIME type says, whatever is said here."""

    kind: Kind | None = None
    mime_type: Text
    preferred_payload_type: PayloadType | None = None
    clock_rate: ClockRate
    channels: Channels | None = None
    parameters: Parameters | None = None
    rtcp_feedback: Feedbacks | None = None


class RtpHeaderExtensionCapability(Open):
    kind: Kind
    uri: Text
    preferred_id: ExtensionId
    preferred_encrypt: Flag | None = None
    direction: Literal["sendrecv", "sendonly", "recvonly", "inactive"] | None = None


class RtpCapabilities(Open):
    """What a router or a device can send or receive."""

    codecs: Annotated[list[RtpCodecCapability], Field(max_length=64)] | None = None
    header_extensions: Annotated[list[RtpHeaderExtensionCapability], Field(max_length=64)] | None = None


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
    algorithm: Annotated[str, Field(max_length=32)]
    value: Text


class DtlsParameters(Message):
    role: Literal["auto", "client", "server"] = "auto"
    fingerprints: Annotated[list[DtlsFingerprint], Field(max_length=8)]


class IceServer(Message):
    urls: list[str]
    username: str | None = None
    credential: str | None = None
