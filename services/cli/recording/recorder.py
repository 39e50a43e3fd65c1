"""Recording: everything on the exchange `watch` is read, holes are seen over all of it, and what the filters name is written.

It is read whole although only one meeting may be wanted: a process numbers all its records together. When the recording ends, each
meeting that was seen is asked for with `GetMeeting`, and its recording ends at the record of that very command, so that the state and
the commands before it are of one piece.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection
from aiormq.exceptions import AMQPError, ChannelNotFoundEntity
from pydantic import JsonValue

from contracts.actor import Actor, Grant
from contracts.failure import Failure, KendraError, MeetingNotFound
from contracts.ids import ApiKeyId, MeetingId, TenantId
from services.bus import KENDRA_COMMANDS, NO_MEETING, Bus, Call
from services.bus.connection import connect, open_channel
from services.bus.queues import WATCH
from services.bus.watch import blanked
from services.cli.recording.broker import unreachable
from services.cli.recording.file import Writer
from services.cli.recording.lines import EndState, Footer, Header, Interruption
from services.cli.recording.numbers import Numbers
from services.cli.stack.errors import CannotRun

RECORDER = Actor(key=ApiKeyId("recorder"), grants=(Grant.ADMIN,))
GET_MEETING = "GetMeeting"
ROOM = 100_000
"""Records that the broker keeps for a recorder that is slow or away; the oldest are dropped, and seen as holes."""

_ASK = 4.0
_ASKS_AT_ONCE = 16
_RECORDS_WITHIN = 2.0
_ON_ITS_WAY = 0.3
"""Within how long a record comes of what was answered already, seconds."""

Key = tuple[TenantId, MeetingId]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which commands are written: of one tenant, of some meetings; nothing named means all."""

    tenant: TenantId | None = None
    meetings: tuple[MeetingId, ...] = ()

    def let(self, key: Key) -> bool:
        """Say whether a command of this tenant and meeting is wanted."""
        return self.tenant in {None, key[0]} and (not self.meetings or key[1] in self.meetings)


@dataclass(slots=True)
class Counts:
    """What was written so far. `late` came of meetings whose recording was over."""

    commands: int = 0
    meetings: set[Key] = field(default_factory=set)
    holes: int = 0
    lost: int = 0
    late: int = 0
    interruptions: int = 0
    away: bool = False
    """There is no broker right now."""


class Recorder:
    """One recording. `record` until told to stop, then `finish`."""

    def __init__(self, url: str, filters: Filters, writer: Writer) -> None:
        self._url, self._filters, self._writer = url, filters, writer
        self._name = secrets.token_hex(6)
        self._numbers = Numbers()
        self._arrived: asyncio.Queue[bytes | Interruption | None] = asyncio.Queue()
        self._connection: AbstractRobustConnection | None = None
        self._away_since: float | None = None
        self._marks: dict[str, Key] = {}
        self._over: set[Key] = set()
        self.counts = Counts()

    async def start(self) -> None:
        """Connect and bind: what is told from now on is recorded. Raises CannotRun."""
        now = datetime.now(UTC)
        self._writer.write(Header(begun=now, tenant=self._filters.tenant, meetings=list(self._filters.meetings)))
        self._writer.flush()
        try:
            self._connection = await connect(self._url, f"tool.record-{self._name}")
            channel = await open_channel(self._connection, confirms=False)
            arguments = {"x-queue-type": "classic", "x-expires": 60_000, "x-max-length": ROOM}
            queue = await channel.declare_queue(f"watch.tool.{self._name}", durable=True, arguments=arguments)
            await queue.bind(WATCH, "#")
            await queue.consume(self._on_record, no_ack=True)
        except ChannelNotFoundEntity:
            raise CannotRun("nothing can be recorded: no kendra or media server ever served on this broker") from None
        except (AMQPError, OSError, TimeoutError) as error:
            raise unreachable(error) from None
        self._connection.close_callbacks.add(self._on_close)
        self._connection.reconnect_callbacks.add(self._on_reconnect)

    async def record(self, on_progress: Callable[[Counts], None], seconds: float) -> None:
        """Write what comes until `stop`; the file is flushed, and progress told, each `seconds`."""
        flushed = time.monotonic()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, flushed + seconds - time.monotonic())):
                    arrived = await self._arrived.get()
                    if arrived is None:
                        return
                    self._take(arrived)
            if time.monotonic() - flushed >= seconds:
                self._writer.flush()
                on_progress(self.counts)
                flushed = time.monotonic()

    def stop(self) -> None:
        """Have `record` return when it has written what came before."""
        self._arrived.put_nowait(None)

    async def finish(self) -> None:
        """Write what is still on its way, how the meetings are then, and the footer."""
        await self._read_for(_ON_ITS_WAY)
        if self._away_since is None:
            await self._ask_for_ends()
        else:
            self._take(_interruption(self._away_since))
        self._writer.write(
            Footer(
                ended=datetime.now(UTC),
                commands=self.counts.commands,
                meetings=len(self.counts.meetings),
                holes=self.counts.holes,
                lost=self.counts.lost,
                unheard=self._numbers.unheard(),
            )
        )

    async def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            with suppress(AMQPError, OSError, TimeoutError):
                async with asyncio.timeout(3):
                    await self._connection.close()

    async def _on_record(self, message: AbstractIncomingMessage) -> None:
        self._arrived.put_nowait(message.body)

    def _on_close(self, *_: object) -> None:
        if self._away_since is None:
            self._away_since, self.counts.away = time.monotonic(), True

    def _on_reconnect(self, *_: object) -> None:
        since, self._away_since, self.counts.away = self._away_since, None, False
        if since is not None:
            self._arrived.put_nowait(_interruption(since))

    def _take(self, arrived: bytes | Interruption) -> None:
        if isinstance(arrived, Interruption):
            self._numbers.interrupted()
            self.counts.interruptions += 1
            self._writer.write(arrived)
            return
        record = json.loads(blanked(arrived))
        process = (record["service"], record["process"])
        hole = self._numbers.take(process, record["number"], datetime.now(UTC))
        if hole is not None:
            self.counts.holes += 1
            self.counts.lost += hole.lost
            self._writer.write(hole)
        envelope = record["envelope"]
        key: Key = (envelope["tenant"], envelope["meeting"])
        if envelope["commandId"] in self._marks:
            self._end(self._marks[envelope["commandId"]], record["replyType"], record["reply"])
        elif key in self._over:
            self.counts.late += 1
        elif self._filters.let(key):
            self._write(key, record)

    def _write(self, key: Key, record: JsonValue) -> None:
        self._writer.write_json(record)
        self.counts.commands += 1
        if key[1] != NO_MEETING:
            self.counts.meetings.add(key)

    def _end(self, key: Key, reply_type: str | None, reply: JsonValue) -> None:
        """End the recording of a meeting with what it is now; without, when that could not be learnt."""
        if key in self._over:
            return
        self._over.add(key)
        gone = isinstance(reply, dict) and reply.get("code") == MeetingNotFound.code
        if reply_type != Failure.__name__ or gone:
            self._writer.write(EndState(tenant=key[0], meeting=key[1], details=None if gone else reply))

    async def _ask_for_ends(self) -> None:
        """Ask for each meeting that was seen, and wait for the records of these commands, reading on meanwhile."""
        bus = Bus(self._url, "tool", f"record-{self._name}")
        try:
            await bus.start()
        except (AMQPError, OSError, TimeoutError):
            return
        places = asyncio.Semaphore(_ASKS_AT_ONCE)
        asked = asyncio.gather(*(self._ask_for_end(bus, key, places) for key in sorted(self.counts.meetings)))
        asked.add_done_callback(lambda _: self.stop())
        try:
            await self._read_on(lambda: False)
            await self._read_for(_RECORDS_WITHIN, lambda: self._over >= set(self._marks.values()))
        finally:
            asked.cancel()
            await bus.stop()

    async def _read_for(self, seconds: float, done: Callable[[], bool] = lambda: False) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._read_on(done)

    async def _read_on(self, done: Callable[[], bool]) -> None:
        """Write what comes until it is enough, or until `stop`."""
        while not done() and (arrived := await self._arrived.get()) is not None:
            self._take(arrived)

    async def _ask_for_end(self, bus: Bus, key: Key, places: asyncio.Semaphore) -> None:
        async with places:
            call = Call.begin(*key, _ASK, actor=RECORDER)
            self._marks[str(call.command_id)] = key
            try:
                await bus.exchange(KENDRA_COMMANDS, GET_MEETING, b"{}", call)
            except KendraError:
                del self._marks[str(call.command_id)]


def _interruption(since: float) -> Interruption:
    return Interruption(at=datetime.now(UTC), seconds=round(time.monotonic() - since, 3))
