"""A participant without a screen: joins, sends its picture and tone, receives everybody else's and remembers what it saw and heard.

It does what it is told and nothing by itself; `lasting.py` has one that gets over whatever breaks.
"""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import cast
from uuid import uuid4

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from services.cli.participant.api import Api, JsonObject, ServerEvent
from services.cli.participant.media import PictureTrack, Signature, ToneTrack
from services.cli.participant.received import Received, Seen
from services.cli.participant.rtc import PeerTransport, Sending, receivable

__all__ = ["Participant", "Received", "Seen"]

TRACKS: dict[str, Callable[[Signature], MediaStreamTrack]] = {"audio": ToneTrack, "video": PictureTrack}


class Participant:
    """One instance of one participant in one meeting. `url` may be several gateways' (the next is asked when one does not answer)."""

    def __init__(
        self,
        url: str | Sequence[str],
        token: str,
        meeting: str,
        name: str,
        signature: Signature,
        *,
        verify: bool | ssl.SSLContext = True,
    ) -> None:
        self.api = Api(url, token, verify=verify)
        self.meeting, self.name, self.signature = meeting, name, signature
        self.instance = uuid4().hex
        self.joined: JsonObject = {}
        self.events: list[ServerEvent] = []
        self.received: dict[str, Received] = {}
        self.seen: defaultdict[str, Seen] = defaultdict(Seen)
        self.sending: dict[str, Sending] = {}
        self.send_transport: PeerTransport | None = None
        self.recv_transport: PeerTransport | None = None
        self._senders: dict[str, str] = {}
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def here(self) -> str:
        """The path of the meeting."""
        return f"/v1/meetings/{self.meeting}"

    @property
    def mine(self) -> str:
        """The path of what belongs to this participant."""
        return f"{self.here}/participants/{self.name}"

    async def join(self) -> None:
        """Take a seat and follow the meeting's events."""
        await self.take_seat()
        self.learn(cast(list[JsonObject], self.joined["producers"]))
        self.spawn(self.follow())

    async def take_seat(self) -> None:
        """Join, or join again: the same instance keeps its seat and gets a new token."""
        self.joined = await self.api.post(
            f"{self.here}/join", {"participantId": self.name, "instanceId": self.instance, "displayName": self.name}
        )
        self.api.token = str(self.joined["participantToken"])

    async def connect(self) -> None:
        """Make and connect both transports."""
        self.send_transport, self.recv_transport = await asyncio.gather(
            self.new_transport("send"), self.new_transport("recv")
        )

    async def new_transport(self, direction: str, timeout: float = 10.0) -> PeerTransport:
        """Recreate the transport of a direction and connect it."""
        options = await self.api.post(f"{self.mine}/transports", {"direction": direction}, soon=True)
        transport = PeerTransport(options)
        try:
            connect: JsonObject = {"dtlsParameters": transport.dtls_parameters}
            await self.api.post(f"{self.mine}/transports/{transport.id}/connect", connect)
            await transport.connect(timeout)
        except BaseException:
            await transport.close()
            raise
        return transport

    async def produce(self) -> None:
        """Send the own picture and tone."""
        assert self.send_transport is not None
        for kind in TRACKS:
            await self.produce_on(self.send_transport, kind)

    async def produce_on(self, transport: PeerTransport, kind: str, *, paused: bool = False) -> str:
        """Send the own picture (video) or tone (audio) on a transport; return the producer's id."""
        sending = transport.send(TRACKS[kind](self.signature))
        body: JsonObject = {
            "transportId": transport.id,
            "kind": kind,
            "rtpParameters": sending.parameters,
            "paused": paused,
        }
        producer = str((await self.api.post(f"{self.mine}/producers", body))["id"])
        await sending.start()
        self.sending[producer] = sending
        return producer

    async def consume(self, producer_id: str) -> Received:
        """Receive one producer from now on."""
        assert self.recv_transport is not None
        return await self.consume_on(self.recv_transport, producer_id)

    async def consume_on(self, transport: PeerTransport, producer_id: str) -> Received:
        """Receive one producer on a transport from now on."""
        capabilities = receivable(cast(JsonObject, self.joined["rtpCapabilities"]))
        consumer = await self.api.post(
            f"{self.mine}/consumers", {"producerId": producer_id, "rtpCapabilities": capabilities}
        )
        track = await transport.receive(consumer)
        received = self.received[producer_id] = Received(str(consumer["kind"]), str(consumer["id"]))
        self.spawn(self._watch(track, received, self._senders.get(producer_id, "")))
        await self.api.post(f"{self.mine}/consumers/{received.consumer_id}/resume")
        return received

    async def until(self, condition: Callable[[], bool], timeout: float) -> None:
        """Wait until a condition on what was seen so far holds. Raises TimeoutError."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(condition)

    async def leave(self) -> None:
        """Give up the seat and close everything."""
        await self.api.post(f"{self.here}/leave")
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

    async def follow(self) -> None:
        """Follow the meeting's events until the stream ends."""
        after = cast(int, self.joined["lastEventId"])
        async for event in self.api.events(f"{self.here}/events", after):
            await self.told(event)

    async def told(self, event: ServerEvent) -> None:
        """Take in one event."""
        self.events.append(event)
        if event.type == "ProducerCreated":
            self.learn([{**event.body, "id": event.body["producerId"]}])
        await self.notify()

    def learn(self, producers: list[JsonObject]) -> None:
        """Remember whose these producers are."""
        for producer in producers:
            self._senders[str(producer["id"])] = str(producer["participantId"])

    async def notify(self) -> None:
        """Have whoever waits in `until` look again."""
        async with self._changed:
            self._changed.notify_all()

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run something beside, until `close`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _watch(self, track: MediaStreamTrack, received: Received, sender: str) -> None:
        with suppress(MediaStreamError):
            while True:
                received.take(cast(VideoFrame | AudioFrame, await track.recv()))
                self.seen[sender].take(received.kind)
                await self.notify()
