"""A WebRTC peer made of aiortc's own ORTC objects, for one direction: real ICE, DTLS, SRTP, encoders and decoders.

aioice has no candidate on 127.0.0.1, so the machine needs another address; it can send from there to a worker on 127.0.0.1.
"""

import asyncio
import fractions
from collections.abc import Awaitable, Callable
from random import Random

import numpy
from aiortc import (
    MediaStreamTrack,
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
    RTCRtpReceiver,
    RTCRtpSender,
)
from aiortc.mediastreams import VideoStreamTrack
from aiortc.rtcrtpparameters import (
    RTCRtcpParameters,
    RTCRtpCodecParameters,
    RTCRtpDecodingParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpReceiveParameters,
    RTCRtpRtxParameters,
    RTCRtpSendParameters,
)
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import RtcpRtpfbPacket
from av import AudioFrame, VideoFrame

from contracts.rtp import (
    DtlsFingerprint,
    DtlsParameters,
    IceCandidate,
    IceParameters,
    Kind,
    RtpCapabilities,
    RtpParameters,
)
from sfu.ortc_shapes import RtpCapabilitiesJson

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
EXTENSIONS = {MID: 9, ABS_SEND_TIME: 3, AUDIO_LEVEL: 11}
"""A publisher's ids, other than the router's."""
OPUS, VP8, VP8_RTX = 97, 98, 99
NACK, PLI = {"type": "nack", "parameter": ""}, {"type": "nack", "parameter": "pli"}
RATE = 48000


class Picture(VideoStreamTrack):
    """Twenty frames a second of one colour, with a bar that moves so that no frame is empty."""

    def __init__(self, rgb: tuple[int, int, int], width: int = 160, height: int = 120) -> None:
        super().__init__()
        self._picture = numpy.full((height, width, 3), rgb, dtype=numpy.uint8)
        self._shown = 0

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(0.05)
        picture = self._picture.copy()
        picture[0:8, self._shown % 150 : self._shown % 150 + 8] = 255
        self._shown += 1
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self._shown * 4500, fractions.Fraction(1, 90000)
        return frame


class Tone(MediaStreamTrack):
    """A sine of this many Hz, 20 ms a frame."""

    kind = "audio"

    def __init__(self, hertz: int) -> None:
        super().__init__()
        self._hertz, self._played = hertz, 0

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(0.02)
        at = numpy.arange(self._played, self._played + 960) / RATE
        wave = (numpy.sin(2 * numpy.pi * self._hertz * at) * 8000).astype(numpy.int16)
        frame = AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._played, fractions.Fraction(1, RATE)
        self._played += 960
        return frame


class LossyIce(RTCIceTransport):
    """aiortc's ICE transport which loses a share of the media packets (never DTLS or STUN), from a seed."""

    def __init__(self, gatherer: RTCIceGatherer, loss: float, seed: int) -> None:
        super().__init__(gatherer)
        self._loss, self._random = loss, Random(seed)
        self.received: list[bytes] = []
        self._plain_send, self._plain_recv = self._connection.send, self._connection.recv
        self._send, self._recv = self._lossy_send, self._lossy_recv

    def _lost(self, data: bytes) -> bool:
        return 128 <= data[0] < 192 and self._random.random() < self._loss

    async def _lossy_send(self, data: bytes) -> None:
        if not self._lost(data):
            await self._plain_send(data)

    async def _lossy_recv(self) -> bytes:
        while True:
            data = await self._plain_recv()
            if not self._lost(data):
                self.received.append(data)
                return data


class Peer:
    """One connection to a server: `connect`, then `publish` or `subscribe`, then `close`."""

    def __init__(self, role: str = "client", loss: float = 0.0, seed: int = 1) -> None:
        self._role, self._loss, self._seed = role, loss, seed
        self.certificate = RTCCertificate.generateCertificate()
        self.ice: LossyIce | None = None
        self.dtls: RTCDtlsTransport | None = None
        self._stopping: list[Callable[[], Awaitable[None]]] = []
        self._ssrc = 0

    @property
    def dtls_parameters(self) -> DtlsParameters:
        """What the server is told."""
        fingerprints = [
            DtlsFingerprint(algorithm=each.algorithm, value=each.value) for each in self.certificate.getFingerprints()
        ]
        return DtlsParameters(role="client" if self._role == "client" else "server", fingerprints=fingerprints)

    async def connect(self, ice: IceParameters, candidates: list[IceCandidate], dtls: DtlsParameters) -> str:
        """Do ICE and DTLS with a server; return the DTLS state it ends in."""
        await self.connect_ice(ice, candidates)
        assert self.ice is not None
        self.dtls = RTCDtlsTransport(self.ice, [self.certificate])
        self.dtls._set_role(self._role)
        fingerprints = [RTCDtlsFingerprint(each.algorithm, each.value) for each in dtls.fingerprints]
        await self.dtls.start(RTCDtlsParameters(fingerprints))
        return self.dtls.state

    async def connect_ice(self, ice: IceParameters, candidates: list[IceCandidate]) -> None:
        """Do ICE alone, as the controlling side."""
        gatherer = RTCIceGatherer(iceServers=[])
        gatherer._connection.ice_controlling = True
        await gatherer.gather()
        assert gatherer.getLocalCandidates(), "aioice finds no address but loopback on this machine"
        self.ice = LossyIce(gatherer, self._loss, self._seed)
        self._stopping.append(self.ice.stop)
        for each in candidates:
            assert each.port
            await self.ice.addRemoteCandidate(
                RTCIceCandidate(1, each.foundation, each.address, each.port, each.priority, each.protocol, each.type)
            )
        await self.ice.addRemoteCandidate(None)
        await self.ice.start(RTCIceParameters(ice.username_fragment, ice.password, ice.ice_lite))
        assert self.ice.state == "completed", f"ICE {self.ice.state}"

    async def publish(self, track: MediaStreamTrack, mid: str) -> tuple[RTCRtpSender, RtpParameters]:
        """Send a track; return the sender and what the server is told. Waits for nobody."""
        sender = RTCRtpSender(track, self.dtls)
        params = _sent(Kind(track.kind), mid, sender._ssrc, sender._rtx_ssrc)
        await sender.send(
            RTCRtpSendParameters(
                codecs=_codecs(params),
                headerExtensions=_extensions(params),
                muxId=mid,
                rtcp=RTCRtcpParameters(cname="publisher", ssrc=sender._ssrc, mux=True),
            )
        )
        self._stopping.append(sender.stop)
        return sender, params

    async def subscribe(self, kind: Kind, params: RtpParameters) -> RemoteStreamTrack:
        """Receive and decode what a consumer sends; return the track."""
        assert params.encodings
        encoding = params.encodings[0]
        receiver = RTCRtpReceiver(kind.value, self.dtls)
        receiver._track = RemoteStreamTrack(kind=kind.value)
        self._ssrc += 1
        receiver._set_rtcp_ssrc(self._ssrc)
        rtx = RTCRtpRtxParameters(encoding.rtx.ssrc) if encoding.rtx else None
        await receiver.receive(
            RTCRtpReceiveParameters(
                codecs=_codecs(params),
                headerExtensions=_extensions(params),
                muxId=params.mid or "",
                encodings=[RTCRtpDecodingParameters(encoding.ssrc or 0, params.codecs[0].payload_type, rtx)],
            )
        )
        self._stopping.append(receiver.stop)
        return receiver.track

    async def nack(self, ssrc: int, sequences: list[int]) -> None:
        """Ask for packets of a consumer again."""
        assert self.dtls is not None
        await self.dtls._send_rtp(bytes(RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=ssrc, lost=sequences)))

    async def vanish(self) -> None:
        """Send and answer nothing any more, as if the network were gone."""
        assert self.ice is not None
        await self.ice._connection.close()

    async def close(self) -> None:
        """Say goodbye and end."""
        for stop in reversed(self._stopping[1:]):
            await stop()
        if self.dtls is not None:
            await self.dtls.stop()
        for stop in self._stopping[:1]:
            await stop()
        self._stopping.clear()


def capabilities(router: RtpCapabilitiesJson) -> RtpCapabilities:
    """Return what aiortc can decode of what a router offers."""
    decodable = ("audio/opus", "video/vp8")
    media = [codec for codec in router["codecs"] if codec["mimeType"].lower() in decodable]
    payload_types = {codec.get("preferredPayloadType") for codec in media}
    repairs = [codec for codec in router["codecs"] if codec["parameters"].get("apt") in payload_types]
    return RtpCapabilities.model_validate(
        {"codecs": [*media, *repairs], "headerExtensions": router["headerExtensions"]}
    )


def _sent(kind: Kind, mid: str, ssrc: int, rtx_ssrc: int) -> RtpParameters:
    if kind is Kind.AUDIO:
        codecs = [
            {"mimeType": "audio/opus", "payloadType": OPUS, "clockRate": RATE, "channels": 2, "rtcpFeedback": [NACK]}
        ]
    else:
        codecs = [
            {"mimeType": "video/VP8", "payloadType": VP8, "clockRate": 90000, "rtcpFeedback": [NACK, PLI]},
            {"mimeType": "video/rtx", "payloadType": VP8_RTX, "clockRate": 90000, "parameters": {"apt": VP8}},
        ]
    return RtpParameters.model_validate(
        {
            "mid": mid,
            "codecs": codecs,
            "headerExtensions": [{"uri": uri, "id": number} for uri, number in EXTENSIONS.items()],
            "encodings": [{"ssrc": ssrc} | ({"rtx": {"ssrc": rtx_ssrc}} if kind is Kind.VIDEO else {})],
            "rtcp": {"cname": "publisher", "reducedSize": True},
        }
    )


def _codecs(params: RtpParameters) -> list[RTCRtpCodecParameters]:
    return [
        RTCRtpCodecParameters(
            mimeType=each.mime_type,
            clockRate=each.clock_rate,
            channels=each.channels,
            payloadType=each.payload_type,
            parameters=dict(each.parameters or {}),
        )
        for each in params.codecs
    ]


def _extensions(params: RtpParameters) -> list[RTCRtpHeaderExtensionParameters]:
    return [RTCRtpHeaderExtensionParameters(each.id, each.uri) for each in params.header_extensions or []]
