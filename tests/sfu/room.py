"""A router with real peers on it, driven as the media server drives it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import ClassVar

import numpy
from aiortc import MediaStreamTrack
from av import AudioFrame, VideoFrame

from contracts.ids import ConsumerId, ProducerId, RouterId, TransportId
from contracts.rtp import Kind
from sfu.consumer import Consumer
from sfu.producer import Producer
from sfu.transport import WebRtcTransport
from sfu.worker import PlaneName, Worker, WorkerSettings
from tests.sfu.peer import RATE, Peer, capabilities


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition; fail after its deadline."""
    async with asyncio.timeout(seconds):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


class Room:
    """One router. Peers that it made are closed with it. `usual` is the plane where none is named."""

    usual: ClassVar[PlaneName] = "reference"

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.router = worker.create_router(RouterId("router"))
        self.peers: list[Peer] = []
        self._made = 0

    def name(self, what: str) -> str:
        self._made += 1
        return f"{what}-{self._made}"

    def transport(self) -> WebRtcTransport:
        return self.router.create_webrtc_transport(TransportId(self.name("transport")))

    async def connected(self, peer: Peer | None = None) -> tuple[Peer, WebRtcTransport]:
        """Connect a peer to a new transport."""
        transport, peer = self.transport(), peer or Peer()
        self.peers.append(peer)
        await transport.connect(peer.dtls_parameters)
        state = await peer.connect(transport.ice_parameters, transport.ice_candidates, transport.dtls_parameters)
        assert state == "connected"
        await until(lambda: transport.dtls_state == "connected")
        return peer, transport

    async def produce(self, peer: Peer, transport: WebRtcTransport, track: MediaStreamTrack) -> Producer:
        """Let a connected peer publish a track."""
        _, params = await peer.publish(track, mid=str(len(transport.producers)))
        return transport.produce(ProducerId(self.name("producer")), Kind(track.kind), params, paused=False)

    def consume(self, transport: WebRtcTransport, producer: Producer, paused: bool = False) -> Consumer:
        """Consume as a peer that decodes what aiortc can."""
        caps = capabilities(self.router.rtp_capabilities)
        return transport.consume(ConsumerId(self.name("consumer")), producer.id, caps, paused=paused)


@asynccontextmanager
async def room(consent_timeout: float = 30.0, plane: PlaneName | None = None) -> AsyncIterator[Room]:
    """Open a room on a worker of its own."""
    worker = await Worker.create(WorkerSettings(consent_timeout=consent_timeout, plane=plane or Room.usual))
    made = Room(worker)
    try:
        yield made
    finally:
        for peer in made.peers:
            await peer.close()
        await worker.close()
    assert worker.load().failures == 0


async def frames(track: MediaStreamTrack, count: int, seconds: float = 10.0) -> list[VideoFrame | AudioFrame]:
    """Return the next decoded frames."""
    async with asyncio.timeout(seconds):
        return [await track.recv() for _ in range(count)]


def received_sequences(peer: Peer, ssrc: int) -> list[int]:
    """Return the sequence numbers of a stream's packets in the order in which they came (they are not encrypted)."""
    assert peer.ice is not None
    marked = ssrc.to_bytes(4, "big")
    packets = (each for each in peer.ice.received if each[8:12] == marked and not 192 <= each[1] <= 223)
    return [int.from_bytes(each[2:4], "big") for each in packets]


def colour(frame: VideoFrame) -> tuple[int, int, int]:
    """Return the mean colour of the picture's lower half."""
    pixels = frame.to_ndarray(format="rgb24")
    red, green, blue = (round(float(each)) for each in pixels[pixels.shape[0] // 2 :].mean(axis=(0, 1)))
    return red, green, blue


def pitch(sound: list[AudioFrame]) -> float:
    """Return the strongest frequency in Hz."""
    samples = numpy.concatenate([frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0] for frame in sound])
    spectrum = numpy.abs(numpy.fft.rfft(samples.astype(float)))
    return float(numpy.fft.rfftfreq(len(samples), 1 / RATE)[int(spectrum[5:].argmax()) + 5])
