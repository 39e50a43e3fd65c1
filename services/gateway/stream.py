"""An event stream as an HTTP answer: what was missed, then what comes, a comment when nothing does, and its ends.

It ends when the token expires, the seat or the meeting is over, this process stops, or the client does not read; after the
last two a client comes back with `Last-Event-ID`.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contracts.failure import Unavailable
from services.gateway.budget import READ_WITHIN
from services.gateway.events import Streams
from services.gateway.following import Entry, Follower, StreamState
from services.gateway.following_seats import Owner
from services.gateway.waiting import Queue

KEEP_ALIVE = b": still here\n\n"
_HEAD = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream is, what Redis had of it when the client came, and which seat follows, if it is one."""

    stream: str
    channel: str
    state: StreamState | None
    owner: Owner | None


class EventStream(Response):
    """Follows a meeting until something ends it. `expires` in epoch seconds, `keep_alive` in seconds."""

    media_type = "text/event-stream"

    def __init__(
        self, streams: Streams, place: Place, follower: Follower, *, expires: float, keep_alive: float
    ) -> None:
        super().__init__()
        self.raw_headers = list(_HEAD)
        self._streams, self._place, self._follower = streams, place, follower
        self._expires, self._keep_alive = expires, keep_alive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end."""
        place = self._place
        async with self._streams.followed(place.stream, place.channel, place.state, place.owner) as queue:
            gone = asyncio.create_task(_disconnected(receive, queue))
            try:
                await self._send(queue, send)
            except TimeoutError:
                scope.get("extensions", {}).get("doordarshan.abort", lambda: None)()
            finally:
                gone.cancel()

    async def _send(self, queue: Queue, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for chunk in self._chunks(queue):
            async with asyncio.timeout(READ_WITHIN):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _chunks(self, queue: Queue) -> AsyncIterator[bytes]:
        follower = self._follower
        yield KEEP_ALIVE + b"".join(follower.begin(self._place.state))
        while entries := await self._missed(queue):
            yield b"".join(frame for entry in entries for frame in follower.take(entry))
        while not (follower.over or queue.ended):
            if not await self._news(queue):
                yield KEEP_ALIVE
            elif chunk := b"".join(frame for entry in queue.taken() for frame in follower.take(entry)):
                yield chunk

    async def _missed(self, queue: Queue) -> list[Entry]:
        """Return the next page of what the client does not have yet. Redis being away ends the stream, to be resumed."""
        if self._follower.over or queue.ended:
            return []
        try:
            return await self._streams.page(self._place.stream, self._follower.previous)
        except Unavailable:
            queue.close()
            return []

    async def _news(self, queue: Queue) -> bool:
        """Wait for something to send; say whether there is. The end of the token closes the queue."""
        until_end = self._expires - time.time()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(self._keep_alive, max(until_end, 0))):
                await queue.wait()
        if time.time() >= self._expires:
            queue.close()
        return bool(queue.waiting) or queue.ended


async def _disconnected(receive: Receive, queue: Queue) -> None:
    """Close the queue when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    queue.close()
