"""The events of meetings, out of Redis: one reader of the streams and one of the live channels per process, fanned out to all.

* A follower first reads what it missed, page by page, then what the reader hands it; the reader's place in a stream is taken
  before the first page is read, so nothing falls between. Doubles are left out by `following`.
* A follower's queue is bounded. One that does not read is dropped, and may come back with the last id it saw.
* While Redis is away, followers wait; the reader goes on from its places when Redis is back, refilled or not.
"""

import asyncio
import secrets
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from contracts.failure import Busy, Unavailable
from services.gateway.entries import Rows, entries_of, live_entries_of, sequence_of
from services.gateway.following import Entry, StreamState
from services.gateway.following_seats import FollowingSeats, Owner
from services.gateway.waiting import Queue

log = structlog.stdlib.get_logger("gateway")

BLOCK = 5.0
"""Seconds that one XREAD waits; one that takes much longer has lost its connection."""

PATIENCE = 1.0
PAUSE = 0.25
PAGE = 500
NUDGE_KEPT = 3600
"""Seconds after which Redis forgets how this process wakes its reader, should it die."""

CONNECTIONS = 32
_DEAD_AFTER = {socket.TCP_KEEPIDLE: 5, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}
# Deadlines stand outside of the client: with its own it swallows cancels on Python 3.11.
_OPTIONS: dict[str, Any] = {
    "decode_responses": True,
    "protocol": 2,
    "socket_timeout": None,
    "socket_connect_timeout": PATIENCE,
    "socket_keepalive": True,
    "socket_keepalive_options": _DEAD_AFTER,
}

LOST = (RedisError, OSError, TimeoutError)
Places = dict[bytes | str | memoryview, int | bytes | str | memoryview]


class Streams:
    """All followed streams of this process. `prefix` stands before every key and channel of this deployment."""

    def __init__(self, url: str, prefix: str, *, most: int) -> None:
        self._url, self._prefix, self._most = url, prefix, most
        self._nudge = f"{prefix}gateway:{secrets.token_hex(8)}"
        self._nudged = "0-0"
        self._asking = self._pool()
        self._listening: PubSub | None = None
        self._places: dict[str, int] = {}
        self._queues: dict[str, set[Queue]] = defaultdict(set)
        self._listeners: dict[str, set[Queue]] = defaultdict(set)
        self.seats = FollowingSeats()
        self.followers = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to read; Redis need not be there yet."""
        work = (self._kept_up("streams", self._read), self._kept_up("live channels", self._listen))
        self._tasks = [asyncio.create_task(one) for one in work]

    async def stop(self) -> None:
        """End every follower and stop reading."""
        self.close_followers()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._asking.aclose()

    def close_followers(self) -> None:
        """End every follower, so that the server can stop."""
        for queues in self._queues.values():
            for queue in queues:
                queue.close()

    async def reachable(self) -> bool:
        """Say whether Redis answers now."""
        try:
            async with asyncio.timeout(PATIENCE):
                return bool(await self._asking.ping())
        except LOST:
            return False

    async def state(self, stream: str) -> StreamState | None:
        """Return what Redis has of a log, None when it has no such stream. Raises Unavailable."""
        try:
            async with asyncio.timeout(PATIENCE):
                said = await self._asking.xinfo_stream(self._prefix + stream)
        except ResponseError:
            return None
        except LOST:
            raise Unavailable("the event streams cannot be read") from None
        return StreamState(last=sequence_of(said["last-generated-id"]))

    async def page(self, stream: str, after: int) -> list[Entry]:
        """Return the next entries above `after`, a page at most. Raises Unavailable."""
        try:
            async with asyncio.timeout(PATIENCE):
                rows = await self._asking.xrange(self._prefix + stream, min=f"({after}-0", count=PAGE)
        except LOST:
            raise Unavailable("the event streams cannot be read") from None
        return list(entries_of(cast(Rows, rows or [])))

    @asynccontextmanager
    async def followed(
        self, stream: str, channel: str, state: StreamState | None, owner: Owner | None = None
    ) -> AsyncIterator[Queue]:
        """Have what is new in the stream (after `state`) and the channel put into a queue. `owner` is the seat that follows, if any."""
        key, live, queue = self._prefix + stream, self._prefix + channel, Queue()
        new = key not in self._places
        self._places.setdefault(key, state.last if state else 0)
        self.followers += 1
        self._queues[key].add(queue)
        self._listeners[live].add(queue)
        self.seats.add(owner, queue)
        try:
            if new:
                await self._interrupt()
            await self._hear(live)
            yield queue
        finally:
            self.followers -= 1
            self.seats.remove(owner, queue)
            if _without(self._queues, key, queue):
                self._places.pop(key, None)
            if _without(self._listeners, live, queue):
                await self._unhear(live)

    def check_room(self) -> None:
        """Raise Busy when this process has as many followers as it may."""
        if self.followers >= self._most:
            raise Busy

    async def _kept_up(self, what: str, work: Callable[[Redis], Awaitable[None]]) -> None:
        """Do the work on a connection of its own; begin anew when that is lost."""
        while True:
            client = self._client()
            try:
                await work(client)
            except LOST as error:
                log.warning("redis is away", reads=what, error=type(error).__name__)
            except Exception:
                log.exception("reading events failed; it is begun anew", reads=what)
            finally:
                with suppress(*LOST):
                    await client.aclose()
            await asyncio.sleep(PAUSE)

    async def _read(self, client: Redis) -> None:
        """XREAD over every place, until the connection is lost."""
        while True:
            places: Places = {key: f"{place}-0" for key, place in self._places.items()}
            places[self._nudge] = self._nudged
            async with asyncio.timeout(BLOCK + PATIENCE):
                news = await client.xread(places, count=PAGE, block=int(BLOCK * 1000))
            for key, rows in cast(list[tuple[str, Rows]], news or []):
                self._hand_over(key, rows)

    def _hand_over(self, key: str, rows: Rows) -> None:
        if key == self._nudge:
            self._nudged = rows[-1][0]
            return
        if key in self._places:
            self._places[key] = sequence_of(rows[-1][0])
        for entry in entries_of(rows):
            for queue in self._queues.get(key, ()):
                queue.put(entry)

    async def _interrupt(self) -> None:
        """Have the reader look at its places anew: it reads a stream of this process' own, too. An entry waits for a reader that is late."""
        with suppress(*LOST):
            async with asyncio.timeout(PATIENCE), self._asking.pipeline(transaction=False) as pipeline:
                pipeline.xadd(self._nudge, {"": ""}, maxlen=1, approximate=False)
                pipeline.expire(self._nudge, NUDGE_KEPT)
                await pipeline.execute()

    async def _listen(self, client: Redis) -> None:
        """Receive live events, until the connection is lost."""
        async with client.pubsub(ignore_subscribe_messages=True) as listening:
            await listening.subscribe(self._nudge)
            self._listening = listening
            try:
                await listening.subscribe(self._nudge, *self._listeners)
                async for message in listening.listen():
                    for entry in live_entries_of(message["data"]):
                        for queue in self._listeners.get(message["channel"], ()):
                            queue.put(entry)
            finally:
                self._listening = None

    async def _hear(self, channel: str) -> None:
        if self._listening is not None and len(self._listeners[channel]) == 1:
            with suppress(*LOST):
                await self._listening.subscribe(channel)

    async def _unhear(self, channel: str) -> None:
        if self._listening is not None:
            with suppress(*LOST):
                await self._listening.unsubscribe(channel)
                if channel in self._listeners:  # somebody came meanwhile
                    await self._listening.subscribe(channel)

    def _pool(self) -> Redis:
        """Return a client for short questions. It asks once more on a new connection: after a restart, old ones are dead."""
        pool = BlockingConnectionPool.from_url(
            self._url, max_connections=CONNECTIONS, timeout=PATIENCE, retry=Retry(NoBackoff(), 1), **_OPTIONS
        )
        return Redis.from_pool(pool)

    def _client(self) -> Redis:
        """Return a client with one connection, that fails when it is lost."""
        return Redis.from_url(self._url, single_connection_client=True, retry=Retry(NoBackoff(), 0), **_OPTIONS)


def _without(queues: dict[str, set[Queue]], name: str, queue: Queue) -> bool:
    """Take a queue out; say whether it was the last."""
    queues[name].discard(queue)
    if queues[name]:
        return False
    del queues[name]
    return True
