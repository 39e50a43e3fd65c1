"""A participant without a screen: joins, sends its picture and tone, receives everybody else's and remembers what it saw and heard."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast
from uuid import uuid4

import numpy as np
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from services.cli.participant.api import Api, JsonObject, ServerEvent
from services.cli.participant.media import PictureTrack, Signature, ToneTrack, loudest_hertz, mono, picture_shown
from services.cli.participant.rtc import PeerTransport, Sending, receivable


@dataclass
class Received:
    """What came of one producer. `hertz` is of the last second heard."""

    kind: str
    consumer_id: str
    frames: int = 0
    size: tuple[int, int] = (0, 0)
    yuv: tuple[int, int, int] = (0, 0, 0)
    counts: set[int] = field(default_factory=set)
    samples: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def hertz(self) -> float:
        """The loudest frequency in the last second."""
        return loudest_hertz(self.samples)

    def take(self, frame: VideoFrame | AudioFrame) -> None:
        """Remember a decoded frame."""
        self.frames += 1
        if isinstance(frame, VideoFrame):
            self.size = (frame.width, frame.height)
            self.yuv, count = picture_shown(frame)
            self.counts.add(count)
        else:
            self.samples = np.concatenate([self.samples, mono(frame)])[-48_000:]


class Participant:
    """One instance of one participant in one meeting."""

    def __init__(
        self,
        url: str,
        token: str,
        meeting: str,
        name: str,
        signature: Signature,
        *,
        verify: bool | ssl.SSLContext = True,
    ) -> None:
        self.api = Api(url, token, verify=verify)
        self.meeting, self.name, self.signature = meeting, name, signature
        self.joined: JsonObject = {}
        self.events: list[ServerEvent] = []
        self.received: dict[str, Received] = {}
        self.sending: dict[str, Sending] = {}
        self.send_transport: PeerTransport | None = None
        self.recv_transport: PeerTransport | None = None
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def _here(self) -> str:
        return f"/v1/meetings/{self.meeting}"

    @property
    def mine(self) -> str:
        """The path of what belongs to this participant."""
        return f"{self._here}/participants/{self.name}"

    async def join(self) -> None:
        """Take a seat and follow the meeting's events."""
        self.joined = await self.api.post(
            f"{self._here}/join", {"participantId": self.name, "instanceId": uuid4().hex, "displayName": self.name}
        )
        self.api.token = str(self.joined["participantToken"])
        self._spawn(self._follow())

    async def connect(self) -> None:
        """Make and connect both transports."""
        self.send_transport, self.recv_transport = await asyncio.gather(
            self.new_transport("send"), self.new_transport("recv")
        )

    async def new_transport(self, direction: str) -> PeerTransport:
        """Recreate the transport of a direction and connect it."""
        transport = PeerTransport(await self.api.post(f"{self.mine}/transports", {"direction": direction}))
        await self.api.post(
            f"{self.mine}/transports/{transport.id}/connect", {"dtlsParameters": transport.dtls_parameters}
        )
        await transport.connect()
        return transport

    async def produce(self) -> None:
        """Send the own picture and tone."""
        assert self.send_transport is not None
        for track in (ToneTrack(self.signature), PictureTrack(self.signature)):
            sending = self.send_transport.send(track)
            body: JsonObject = {
                "transportId": self.send_transport.id,
                "kind": track.kind,
                "rtpParameters": sending.parameters,
            }
            producer = await self.api.post(f"{self.mine}/producers", body)
            await sending.start()
            self.sending[str(producer["id"])] = sending

    async def consume(self, producer_id: str) -> Received:
        """Receive one producer from now on."""
        assert self.recv_transport is not None
        capabilities = receivable(cast(JsonObject, self.joined["rtpCapabilities"]))
        consumer = await self.api.post(
            f"{self.mine}/consumers", {"producerId": producer_id, "rtpCapabilities": capabilities}
        )
        track = await self.recv_transport.receive(consumer)
        received = self.received[producer_id] = Received(str(consumer["kind"]), str(consumer["id"]))

        async def watch() -> None:
            with suppress(MediaStreamError):
                while True:
                    received.take(cast(VideoFrame | AudioFrame, await track.recv()))
                    await self._notify()

        self._spawn(watch())
        await self.api.post(f"{self.mine}/consumers/{received.consumer_id}/resume")
        return received

    async def until(self, condition: Callable[[], bool], timeout: float) -> None:
        """Wait until a condition on what was seen so far holds. Raises TimeoutError."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(condition)

    async def leave(self) -> None:
        """Give up the seat and close everything."""
        await self.api.post(f"{self._here}/leave")
        await self.close()

    async def close(self) -> None:
        """Close without a word to the meeting but DTLS' own goodbye."""
        for transport in (self.send_transport, self.recv_transport):
            if transport is not None:
                await transport.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.api.close()

    async def _follow(self) -> None:
        after = cast(int, self.joined["lastEventId"])
        async for event in self.api.events(f"{self._here}/events", after):
            self.events.append(event)
            await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
