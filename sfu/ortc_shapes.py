"""The JSON shapes that negotiation works on, once `sfu.ortc_validation` has normalised them.

These are mediasoup's: names are camelCase because they travel as they are. Fields that nobody here reads may be present
too and survive. Numbers are JSON numbers, so `96.0` is possible where a browser sends `96`.
"""

from typing import NotRequired, TypedDict

Parameters = dict[str, str | int | float]
"""A codec's `fmtp` parameters. A number and a numeral are different values, as in JavaScript."""


class RtcpFeedbackJson(TypedDict):
    """One kind of RTCP feedback; `parameter` is empty for the plain kind."""

    type: str
    parameter: str


class RtpCodecCapabilityJson(TypedDict):
    """A codec that someone can receive; a router's always has a `preferredPayloadType`."""

    kind: str
    mimeType: str
    preferredPayloadType: NotRequired[int]
    clockRate: int
    channels: NotRequired[int]
    parameters: Parameters
    rtcpFeedback: list[RtcpFeedbackJson]


class RtpHeaderExtensionCapabilityJson(TypedDict):
    """A header extension that someone knows; `direction` is seen from whoever states the capability."""

    kind: str
    uri: str
    preferredId: int
    preferredEncrypt: bool
    direction: str


class RtpCapabilitiesJson(TypedDict):
    """What a router or a device can receive."""

    codecs: list[RtpCodecCapabilityJson]
    headerExtensions: list[RtpHeaderExtensionCapabilityJson]


class RtpCodecJson(TypedDict):
    """A codec in use, under the payload type it is sent with."""

    mimeType: str
    payloadType: int
    clockRate: int
    channels: NotRequired[int]
    parameters: Parameters
    rtcpFeedback: list[RtcpFeedbackJson]


class RtpHeaderExtensionJson(TypedDict):
    """A header extension in use, under the id it is sent with."""

    uri: str
    id: int
    encrypt: bool
    parameters: Parameters


class RtxJson(TypedDict):
    """The retransmission stream of an encoding (RFC 4588)."""

    ssrc: int


class RtpEncodingJson(TypedDict):
    """One stream: a simulcast layer, or the only one."""

    ssrc: NotRequired[int]
    rid: NotRequired[str]
    rtx: NotRequired[RtxJson]
    codecPayloadType: NotRequired[int]
    dtx: NotRequired[bool]
    scalabilityMode: NotRequired[str]
    maxBitrate: NotRequired[int | float]


class RtcpJson(TypedDict):
    """The canonical name of the sender (RFC 3550 §6.5.1), and whether RTCP may be of reduced size (RFC 5506)."""

    cname: NotRequired[str]
    reducedSize: bool


class RtpParametersJson(TypedDict):
    """What a producer sends, or a consumer receives."""

    mid: NotRequired[str]
    codecs: list[RtpCodecJson]
    headerExtensions: list[RtpHeaderExtensionJson]
    encodings: list[RtpEncodingJson]
    rtcp: RtcpJson
    msid: NotRequired[str]


class CodecMapping(TypedDict):
    """A payload type as the producer sends it, and as the router forwards it."""

    payloadType: int
    mappedPayloadType: int


class EncodingMapping(TypedDict):
    """A stream as the producer sends it (by `ssrc` or `rid`, if it said one), and the ssrc it has in the router."""

    ssrc: NotRequired[int]
    rid: NotRequired[str]
    mappedSsrc: int


class RtpMapping(TypedDict):
    """How what a producer sends is called inside the router."""

    codecs: list[CodecMapping]
    encodings: list[EncodingMapping]


class SctpStreamParametersJson(TypedDict):
    """How reliable a data channel is: at most one of the two limits, and then unordered (RFC 8831 §6.6)."""

    streamId: int
    ordered: bool
    maxPacketLifeTime: NotRequired[int]
    maxRetransmits: NotRequired[int]
