"""ICE, DTLS, sending and receiving, from aiortc's own objects without its peer connection: the same ORTC parameters that the API speaks.

Its private parts are touched here only. transport-cc is not offered: aiortc does not send its feedback and drops a compound that holds some.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import cast

from aioice import Candidate
from aiortc import (
    MediaStreamTrack,
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
    RTCRtpReceiver,
    RTCRtpSender,
)
from aiortc.rtcrtpparameters import RTCRtcpParameters, RTCRtpSendParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from pydantic import JsonValue

from services.cli.participant.parameters import FEEDBACK, MID, codecs_of, extensions_of, receivable, receive_parameters

JsonObject = dict[str, JsonValue]

__all__ = ["JsonObject", "NoAddress", "PeerTransport", "Sending", "own_addresses", "receivable"]


class NoAddress(Exception):
    """This machine has no address but loopback, and aioice gathers no candidate there; give it one (`ip addr add … dev lo`)."""


async def own_addresses() -> list[str]:
    """Return the addresses that media can be sent from. Raises NoAddress."""
    gatherer = RTCIceGatherer(iceServers=[])
    await gatherer.gather()
    addresses = [str(one.ip) for one in gatherer.getLocalCandidates()]
    await gatherer._connection.close()
    if not addresses:
        raise NoAddress(" ".join((NoAddress.__doc__ or "").split()))
    return addresses


class PeerTransport:
    """One WebRTC transport of the participant, connected to one of the SFU's."""

    def __init__(self, options: Mapping[str, JsonValue]) -> None:
        self.id = str(options["id"])
        self._options = options
        self._ice = RTCIceTransport(RTCIceGatherer(iceServers=[]))
        self._ice._connection.ice_controlling = True
        self._dtls = RTCDtlsTransport(self._ice, [RTCCertificate.generateCertificate()])
        self._mids = 0
        self._closed = False
        self._senders: list[RTCRtpSender] = []
        self._receivers: list[RTCRtpReceiver] = []
        self.on_lost: Callable[[], None] = lambda: None
        self._dtls.on("statechange", self._state_changed)

    def _state_changed(self) -> None:
        """Tell `on_lost` when the connection ended by itself: the SFU's goodbye, or no answer to checks for 30 s."""
        if self.state in ("closed", "failed") and not self._closed:
            self.on_lost()

    @property
    def dtls_parameters(self) -> JsonObject:
        """What the connect request carries: we are the DTLS client."""
        prints = [one for one in self._dtls.getLocalParameters().fingerprints if one.algorithm == "sha-256"]
        return {
            "role": "client",
            "fingerprints": [{"algorithm": one.algorithm, "value": one.value} for one in prints],
        }

    @property
    def state(self) -> str:
        """The DTLS state: new, connecting, connected, closed or failed."""
        return self._dtls.state

    async def connect(self, timeout: float = 10.0) -> None:
        """Check the SFU's candidates and shake hands. Raises ConnectionError, TimeoutError."""
        await self._ice.iceGatherer.gather()
        ice = cast(JsonObject, self._options["iceParameters"])
        for one in cast(list[JsonObject], self._options["iceCandidates"]):
            if one["protocol"] == "udp":
                await self._ice._connection.add_remote_candidate(_candidate(one))
        await self._ice._connection.add_remote_candidate(None)
        remote = cast(JsonObject, self._options["dtlsParameters"])
        fingerprints = [
            RTCDtlsFingerprint(algorithm=str(one["algorithm"]), value=str(one["value"]))
            for one in cast(list[JsonObject], remote["fingerprints"])
        ]
        async with asyncio.timeout(timeout):
            await self._ice.start(
                RTCIceParameters(
                    usernameFragment=str(ice["usernameFragment"]), password=str(ice["password"]), iceLite=True
                )
            )
            if self._ice.state != "completed":
                raise ConnectionError("no answer to the ICE checks: is the media server's UDP port reachable?")
            self._dtls._set_role("client")
            await self._dtls.start(RTCDtlsParameters(role="server", fingerprints=fingerprints))
        if self._dtls.state != "connected":
            raise ConnectionError("the DTLS handshake failed")

    def send(self, track: MediaStreamTrack) -> "Sending":
        """Prepare to send a track; `Sending.parameters` go into create producer."""
        sender = RTCRtpSender(track, self._dtls)
        self._senders.append(sender)
        self._mids += 1
        return Sending(sender, str(self._mids - 1))

    async def receive(self, consumer: Mapping[str, JsonValue]) -> MediaStreamTrack:
        """Begin to receive what create consumer answered; decoded frames come from the track."""
        kind = str(consumer["kind"])
        receiver = RTCRtpReceiver(kind, self._dtls)
        receiver._track = RemoteStreamTrack(kind=kind, id=str(consumer["id"]))
        self._receivers.append(receiver)
        await receiver.receive(receive_parameters(cast(JsonObject, consumer["rtpParameters"])))
        return receiver.track

    async def packets_received(self) -> int:
        """RTP packets that all receivers of the transport have counted."""
        total = 0
        for receiver in self._receivers:
            stats = (await receiver.getStats()).values()
            total += sum(one.packetsReceived for one in stats if one.type == "inbound-rtp")
        return total

    async def close(self) -> None:
        """Stop everything and say goodbye (DTLS close_notify). Closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        for sender in self._senders:
            await sender.stop()
        for receiver in self._receivers:
            await receiver.stop()
        await self._dtls.stop()
        await self._ice.stop()


class Sending:
    """A track on its way out."""

    def __init__(self, sender: RTCRtpSender, mid: str) -> None:
        self._sender, self._mid = sender, mid

    @property
    def parameters(self) -> JsonObject:
        """The producer's rtpParameters: opus, or VP8 with RTX."""
        codec = "opus" if self._sender.kind == "audio" else "VP8"
        codecs: list[JsonValue] = [
            {
                "mimeType": f"{self._sender.kind}/{codec}",
                "payloadType": 96 if codec == "VP8" else 111,
                "clockRate": 90_000 if codec == "VP8" else 48_000,
                **({} if codec == "VP8" else {"channels": 2}),
                "parameters": {},
                "rtcpFeedback": cast(JsonValue, FEEDBACK if codec == "VP8" else FEEDBACK[:1]),
            }
        ]
        encoding: JsonObject = {"ssrc": self._sender._ssrc}
        if codec == "VP8":
            codecs.append({"mimeType": "video/rtx", "payloadType": 97, "clockRate": 90_000, "parameters": {"apt": 96}})
            encoding["rtx"] = {"ssrc": self._sender._rtx_ssrc}
        return {
            "mid": self._mid,
            "codecs": codecs,
            "headerExtensions": [{"uri": MID, "id": 1}],
            "encodings": [encoding],
            "rtcp": {"cname": f"headless-{self._sender._ssrc}", "reducedSize": True},
        }

    async def start(self) -> None:
        """Send from now on."""
        parameters = self.parameters
        await self._sender.send(
            RTCRtpSendParameters(
                codecs=codecs_of(parameters),
                headerExtensions=extensions_of(parameters),
                muxId=self._mid,
                rtcp=RTCRtcpParameters(cname=str(cast(JsonObject, parameters["rtcp"])["cname"])),
            )
        )

    async def packets_sent(self) -> int:
        """RTP packets sent so far."""
        stats = (await self._sender.getStats()).values()
        return sum(one.packetsSent for one in stats if one.type == "outbound-rtp")


def _candidate(one: Mapping[str, JsonValue]) -> Candidate:
    return Candidate(
        foundation=str(one["foundation"]),
        component=1,
        transport="udp",
        priority=int(cast(int, one["priority"])),
        host=str(one["address"]),
        port=int(cast(int, one["port"])),
        type="host",
    )
