"""Relay: what the logs in Postgres say goes to Redis, where gateways read it.

* Never one event on its own: everything that Redis lacks, lowest first, appended by a script that compares and appends in one step.
  So relaying twice, by two kendras, after a crash, or into a Redis that lost its tail or everything is harmless.
* What this process thinks Redis has is a hint. Only the script knows.
* A relay of a meeting that is asked for while one runs is one more run after it; ten that ask share it.
* Redis may be away: nobody fails for it, the second's round sends what is left.
"""

import asyncio
import itertools
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from contracts.failure import KendraError, Unavailable
from contracts.live import LiveEvents
from services.bus import Call
from services.fault_points import Point, reached
from services.kendra.metrics import RELAYED, RELAYS
from services.kendra.store.log import Log, LogKey, Run

log = structlog.stdlib.get_logger("relay")

APPEND_RUN = (Path(__file__).parent / "append_run.lua").read_text()

_LOOK_BACK = 86_400.0
_REMEMBERED = 10_000
_AT_ONCE = 16
_REDIS_SECONDS = 2.0
_MOST_LEFT = 1_000
_LATEST_COMMIT = 15.0
"""An event is in the log this long after its time at the latest, seconds: no transaction is let be for longer."""


def connect(url: str) -> "Redis":
    """Return a client that connects when it is used, and never waits on its own: deadlines are outside.

    It asks once more on a new connection, for after a restart of Redis all old ones are dead; everything here may be done twice.
    """
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=None,
        socket_connect_timeout=None,
        retry=Retry(NoBackoff(), 1),
        health_check_interval=0,
    )


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    """Give Redis two seconds, and turn its errors into ours."""
    try:
        async with asyncio.timeout(_REDIS_SECONDS):
            yield
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable(f"Redis: {error or type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class Streams:
    """The meetings' streams: what goes before every key of this deployment, about how many events one has, and for how many
    seconds it can be read after its meeting ended."""

    prefix: str
    length: int
    kept: float


class Events:
    """The relay of one process."""

    def __init__(self, redis: "Redis", streams: Streams, log: Log) -> None:
        self._redis = redis
        self._streams = streams
        self._prefix = streams.prefix
        self._log = log
        self._append = redis.register_script(APPEND_RUN)
        self._running: dict[LogKey, asyncio.Task[bool]] = {}
        self._again: dict[LogKey, asyncio.Task[bool]] = {}
        self._thought: OrderedDict[LogKey, int] = OrderedDict()
        self._hints: dict[LogKey, int] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._incarnation: tuple[str, str] | None = None
        self._whole_at: float | None = None
        """When a round began that left nothing, by the monotonic clock: what was in the log by then needs no other look."""
        self.reached_at: float | None = None
        """When a round last got through to Redis, by the monotonic clock."""

    async def relay(self, call: Call, wait: float = 0.1) -> None:
        """Send what the call's meeting has on, and wait for it, but not long. Never fails: what is left goes later."""
        await asyncio.wait({self.start(call)}, timeout=wait)

    def start(self, call: Call) -> "asyncio.Task[bool]":
        """Have what the call's meeting has by now sent on."""
        return self._start((call.tenant, call.meeting))

    async def publish(self, call: Call, live: LiveEvents) -> None:
        """Tell the meeting's clients now or never, on the channel `live:{<tenant>:<meeting>}`; one JSON object per event."""
        channel = f"{self._prefix}live:{{{call.tenant}:{call.meeting}}}"
        async with _in_time(), self._redis.pipeline(transaction=False) as pipeline:
            for event in live.events:
                pipeline.publish(channel, event.model_dump_json(by_alias=True))
            await pipeline.execute(raise_on_error=False)

    async def round(self) -> None:
        """Relay what is left; everything, when Redis is not the one (or not with the memory) that was seen last."""
        began = time.monotonic()
        await self.keep_hints()
        seen = await self._seen()
        self.reached_at = time.monotonic()
        if seen == self._incarnation:
            left = await self._log.left(self._since_whole(began), _MOST_LEFT)
            if await self._all(left) and len(left) < _MOST_LEFT:
                self._whole_at = began
        else:
            self._thought.clear()
            if await self._all(await self._log.live()):
                self._incarnation = seen

    def _since_whole(self, now: float) -> float:
        """Return how far back there may be an event that Redis lacks, seconds; at first a day."""
        return _LOOK_BACK if self._whole_at is None else min(_LOOK_BACK, now - self._whole_at + _LATEST_COMMIT)

    async def keep_hints(self) -> None:
        """Write down how far Redis has which logs, so that no other kendra sends it again."""
        hints, self._hints = self._hints, {}
        if hints:
            reached(Point.BEFORE_MARK)
            await self._log.keep_hints(hints)
            reached(Point.AFTER_MARK)

    async def close(self) -> None:
        """Let what runs finish for a moment, then disconnect."""
        running = [*self._running.values(), *self._again.values()]
        if running:
            await asyncio.wait(running, timeout=1.0)
        for task in running:
            task.cancel()
        await self._redis.aclose()

    def _start(self, of: LogKey) -> "asyncio.Task[bool]":
        if of in self._again:
            return self._again[of]
        if of not in self._running:
            return self._task(self._running, of, self._relayed(of))
        # The one that runs may have read the log before the caller's event was there.
        return self._task(self._again, of, self._after(self._running[of], of))

    def _task(
        self, tasks: "dict[LogKey, asyncio.Task[bool]]", of: LogKey, work: Coroutine[None, None, bool]
    ) -> "asyncio.Task[bool]":
        task = tasks[of] = asyncio.create_task(work, name=f"relay {of[0]}:{of[1]}")
        return task

    async def _after(self, running: "asyncio.Task[bool]", of: LogKey) -> bool:
        await asyncio.wait({running})
        self._running[of] = self._again.pop(of)
        return await self._relayed(of)

    async def _relayed(self, of: LogKey) -> bool:
        """Relay one meeting; a failure is logged and answered with False, the next round tries again."""
        try:
            async with self._slots, _in_time():
                await self._relay(of)
        except KendraError as error:
            self._thought.pop(of, None)
            RELAYS.labels("failed").inc()
            log.info("a relay failed", tenant=of[0], meeting=of[1], reason=error.reason)
            return False
        else:
            RELAYS.labels("ok").inc()
            return True
        finally:
            del self._running[of]

    async def _relay(self, of: LogKey) -> None:
        after = self._thought.get(of)
        reached(Point.BEFORE_RELAY)
        while (run := await self._log.run(of, after)) is not None:
            last = await self._append_run(run)
            if last > run.head and (now := await self._log.run(of, last)) is not None and last > now.head:
                await self._log.reset(of, last)
            elif last >= run.head:
                self._remember(of, last)
                reached(Point.AFTER_RELAY)
                return
            after = last

    async def _append_run(self, run: Run) -> int:
        pieces: Iterable[tuple[str | int, ...]] = (
            (entry.sequence, len(entry.fields), *entry.fields) for entry in run.entries
        )
        arguments: list[str | int] = [
            run.base,
            self._streams.length,
            int(self._streams.kept) if run.ended else 0,
            *itertools.chain.from_iterable(pieces),
        ]
        reached(Point.BEFORE_XADD)
        last = int(await self._append(keys=[self._prefix + run.stream], args=arguments))
        reached(Point.AFTER_XADD)
        RELAYED.inc(len(run.entries))
        return last

    def _remember(self, of: LogKey, last: int) -> None:
        self._hints[of] = self._thought[of] = last
        self._thought.move_to_end(of)
        while len(self._thought) > _REMEMBERED:
            self._thought.popitem(last=False)

    async def _all(self, logs: Iterable[LogKey]) -> bool:
        """Relay these; return whether all of it got through."""
        return all(await asyncio.gather(*(self._start(of) for of in logs)))

    async def _seen(self) -> tuple[str, str]:
        """Return Redis' run id, and the mark that a Redis which lost its memory has lost."""
        key = f"{self._prefix}incarnation"
        async with _in_time(), self._redis.pipeline(transaction=False) as pipeline:
            pipeline.info("server")
            pipeline.set(key, str(uuid4()), nx=True)
            pipeline.get(key)
            info, _, mark = await pipeline.execute()
        return info["run_id"], mark
