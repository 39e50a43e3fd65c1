"""The media server's rows: one boot's transactions, and what a failure of the database means.

A transaction about a meeting begins with the meeting's lock and the check that this server's allocation still stands; then
the command is inserted, then rows and events. A COMMIT without an answer is `CommitUnknown`: nothing may be concluded from it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from json import dumps

import asyncpg

from contracts.events import ClosedBecause
from contracts.failure import MeetingNotFound, StaleEpoch, Unavailable
from contracts.ids import BootId, CommandId, Epoch, MediaServerId, MeetingId, ParticipantId, TenantId, WorkerId
from contracts.meeting import AppData, Direction
from contracts.message import Reply
from services.bus import Call
from services.bus.envelope import as_json
from services.media_server import sql
from services.media_server.registry import Closing, LiveConsumer, LiveProducer, LiveTransport, Owner, Room
from services.media_server.told import Gone, GoneConsumer, GoneProducer, GoneTransport, Told

SESSION = {
    "application_name": "doordarshan media server",
    "lock_timeout": "1500ms",
    "statement_timeout": "3s",
    "idle_in_transaction_session_timeout": "5s",
    "jit": "off",
}
COMMAND_TIMEOUT = 4.0
ACQUIRE_TIMEOUT = 2.0
KEPT = timedelta(days=1)

_MEANING = {"DK001": StaleEpoch, "DK002": MeetingNotFound}
_AWAY_CLASSES = ("08", "25", "40", "53", "55", "57", "58", "XX")
"""Connection, read-only after a failover, serialization and deadlock, resources, locks, intervention, system: the same command may succeed later."""


class CommitUnknown(Exception):
    """COMMIT was sent and not answered: it may have landed, now or later."""


class NotRegistered(Exception):
    """This boot has no row any more: it was buried, or another one took the name."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise the contract's error for the database's, once."""
    try:
        yield
    except asyncpg.ForeignKeyViolationError as error:
        raise StaleEpoch("what this hangs from is gone from the database") from error
    except asyncpg.PostgresError as error:
        state = error.sqlstate or ""
        if state in _MEANING:
            raise _MEANING[state]() from error
        if state.startswith(_AWAY_CLASSES):
            raise Unavailable(f"the database cannot do this now ({state})") from error
        raise
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
        raise Unavailable("the database is away") from error


@dataclass(frozen=True, slots=True)
class Handled:
    """How a command was answered, byte for byte."""

    hash: str
    reply_type: str
    reply: str


@dataclass(frozen=True, slots=True)
class Allocated:
    """An allocation of this server, named."""

    tenant: TenantId
    meeting: MeetingId
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Load:
    """What a renewal reports. `cpu` is a share of what this process can use, `egress` in bit/s."""

    cpu: float
    egress: float
    streams: dict[WorkerId, int]


class Record:
    """An open transaction about one meeting at one epoch."""

    def __init__(self, connection: asyncpg.Connection, server: MediaServerId, boot: BootId, of: Allocated) -> None:
        self._connection = connection
        self._of = (of.tenant, of.meeting, of.epoch)
        self._by = (server, boot)

    async def handled(self, call: Call, reply: Reply) -> None:
        """Write how the command is answered: the first insert, so that a repeat elsewhere stops here."""
        row = (call.command_id, call.body_hash, type(reply).__name__, as_json(reply).decode())
        await self._connection.execute(sql.INSERT_HANDLED, *row)

    async def allocation(self, room: Room) -> None:
        """Write the allocation; those of older epochs go, rows only."""
        await self._connection.execute(sql.DELETE_ALLOCATIONS, room.tenant, room.meeting, room.epoch - 1, *self._by)
        await self._connection.execute(
            sql.INSERT_ALLOCATION, *self._of, *self._by, room.router.worker.id, room.router.id
        )

    async def transport(self, transport: LiveTransport) -> None:
        await self._insert(sql.INSERT_TRANSPORT, transport.owner, transport.id, transport.direction.value)

    async def producer(self, producer: LiveProducer, app_data: AppData) -> None:
        media = producer.media
        parameters = dumps(media.rtp_parameters.as_json())
        row = (producer.id, producer.transport, media.kind.value, parameters, media.paused, dumps(app_data))
        await self._insert(sql.INSERT_PRODUCER, producer.owner, *row)

    async def consumer(self, consumer: LiveConsumer) -> None:
        media = consumer.media
        parameters = dumps(media.rtp_parameters.as_json())
        row = (consumer.id, consumer.transport, consumer.producer, media.kind.value, parameters, media.paused)
        await self._insert(sql.INSERT_CONSUMER, consumer.owner, *row)

    async def _insert(self, statement: str, owner: Owner, *row: object) -> None:
        await self._connection.execute(
            statement, *self._of, *self._by, owner.participant, owner.instance, owner.seat, *row
        )

    async def producer_paused(self, producer: LiveProducer, paused: bool) -> None:
        await self._connection.execute(sql.PAUSE_PRODUCER, producer.id, paused)

    async def consumer_paused(self, consumer: LiveConsumer, paused: bool) -> None:
        await self._connection.execute(sql.PAUSE_CONSUMER, consumer.id, paused)

    async def closed(self, closing: Closing) -> int:
        """Delete what closed and tell the meeting of each row that there was. Return how many events that made."""
        ids = (list(closing.transports), list(closing.producers), list(closing.consumers))
        consumers = await self._connection.fetch(sql.DELETE_CONSUMERS, *ids)
        producers = await self._connection.fetch(sql.DELETE_PRODUCERS, *ids[:2])
        transports = await self._connection.fetch(sql.DELETE_TRANSPORTS, ids[0]) if ids[0] else []
        told = Gone(
            closing.because,
            [GoneTransport(row["id"], row["participant"], Direction(row["direction"])) for row in transports],
            [GoneProducer(*row) for row in producers],
            [GoneConsumer(*row) for row in consumers],
        ).told()
        await self.told(*told)
        return len(told)

    async def told(self, *told: Told) -> None:
        """Append events, in this order."""
        if told:
            types = [one.event.type for one in told]
            bodies = [one.event.model_dump_json(by_alias=True) for one in told]
            receivers: list[ParticipantId | None] = [one.to for one in told]
            await self._connection.execute(sql.APPEND_EVENTS, *self._of, types, bodies, receivers)


class Store:
    """The rows of one boot of one media server."""

    def __init__(self, pool: asyncpg.Pool, server: MediaServerId, boot: BootId) -> None:
        self._pool = pool
        self._by = (server, boot)

    @classmethod
    def open(cls, url: str, server: MediaServerId, boot: BootId, connections: int = 10) -> "Store":
        """Return a store that connects when it is first needed, so that a database that is away is no reason not to start."""
        pool = asyncpg.create_pool(
            url,
            min_size=0,
            max_size=connections,
            command_timeout=COMMAND_TIMEOUT,
            timeout=ACQUIRE_TIMEOUT,
            server_settings=SESSION,
            reset=_as_it_was,
        )
        return cls(pool, server, boot)

    async def start(self) -> None:
        await self._pool

    async def close(self) -> None:
        """Give the connections back; one that hangs is dropped after 2 s."""
        with suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await self._pool.close()
        self._pool.terminate()

    async def handled(self, command: CommandId) -> Handled | None:
        """Return how the command was answered, if it is known. Absence proves nothing while a commit may be under way."""
        with translated():
            row = await self._pool.fetchrow(sql.HANDLED, command)
        return None if row is None else Handled(*row)

    async def landed(self, command: CommandId) -> bool:
        """Settle a commit of unknown outcome: a marker with its id waits for it, and gets in only if it never lands."""
        with translated():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
                transaction = connection.transaction()
                await transaction.start()
                try:
                    return await connection.fetchval(sql.INSERT_MARKER, command) is None
                finally:
                    await transaction.rollback()

    @asynccontextmanager
    async def recording(self, call: Call, reply: Reply) -> AsyncIterator[Record]:
        """One command's transaction: lock, own allocation stands, command, then what the body writes; committed at its end.

        Raises StaleEpoch, MeetingNotFound, Unavailable (surely nothing was written) and CommitUnknown.
        """
        async with self._transaction(meant(call), sql.HOLD_ALLOCATION) as (record, _):
            await record.handled(call, reply)
            yield record

    @asynccontextmanager
    async def allocating(self, call: Call, reply: Reply) -> AsyncIterator[tuple[Record, int]]:
        """Like `recording`, but what must stand is that the meeting wants this server; gives its producer limit too."""
        async with self._transaction(meant(call), sql.HOLD_MEETING) as (record, producer_limit):
            await record.handled(call, reply)
            yield record, producer_limit

    @asynccontextmanager
    async def writing(self, of: Allocated) -> AsyncIterator[Record]:
        """A transaction that no command asked for; whoever opens it may do it again."""
        try:
            async with self._transaction(of, sql.HOLD_ALLOCATION) as (record, _):
                yield record
        except CommitUnknown as unknown:
            raise Unavailable("the database did not answer the commit") from unknown

    @asynccontextmanager
    async def _transaction(self, of: Allocated, hold: str) -> AsyncIterator[tuple[Record, int]]:
        with translated():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
                transaction = connection.transaction()
                await transaction.start()
                try:
                    held = await connection.fetchval(hold, of.tenant, of.meeting, of.epoch, *self._by)
                    yield Record(connection, *self._by, of), held
                except BaseException:
                    await _rolled_back(connection, transaction)
                    raise
                try:
                    await transaction.commit()
                except Exception as error:
                    _drop(connection)
                    raise CommitUnknown from error

    async def forget(self, of: Allocated) -> None:
        """Delete the rows of this boot's allocation, and of its older epochs. No events: their epoch is over."""
        with translated():
            await self._pool.execute(sql.DELETE_ALLOCATIONS, of.tenant, of.meeting, of.epoch, *self._by)

    async def forget_handled(self) -> None:
        """Forget commands handled over a day ago."""
        with translated():
            await self._pool.execute(sql.FORGET_HANDLED, KEPT)

    async def register(self, address: str, capacity: int, egress_limit: float) -> None:
        """Take the name: from here on the lease runs, and kendra may place meetings here."""
        with translated():
            await self._pool.execute(sql.REGISTER, *self._by, address, capacity, egress_limit)

    async def renew(self, load: Load) -> None:
        """Renew the lease by the database's clock and report the load. Raises NotRegistered when this boot has no row."""
        with translated():
            streams = load.streams
            row = (load.cpu, load.egress, sum(streams.values()), list(streams), list(streams.values()))
            if await self._pool.fetchval(sql.RENEW, *self._by, *row) is None:
                raise NotRegistered

    async def unwanted(self) -> list[Allocated]:
        """Return this boot's allocations that their meetings do not want any more."""
        with translated():
            return [Allocated(*row) for row in await self._pool.fetch(sql.UNWANTED, *self._by)]

    async def earlier_boots(self) -> list[BootId]:
        """Return the other boots that have rows under this server's name."""
        with translated():
            return [row["boot"] for row in await self._pool.fetch(sql.EARLIER_BOOTS, *self._by)]

    async def allocations(self, boot: BootId) -> list[Allocated]:
        """Return what a boot of this server left, or has."""
        with translated():
            return [Allocated(*row) for row in await self._pool.fetch(sql.ALLOCATIONS_OF, self._by[0], boot)]

    async def clear(self, of: Allocated, boot: BootId, because: ClosedBecause) -> int:
        """Delete a boot's rows of one meeting and tell the meeting. Return how many events that made.

        Raises StaleEpoch, MeetingNotFound when the meeting is elsewhere or over: then there is nobody to tell.
        """
        server = self._by[0]
        with translated():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection, connection.transaction():
                key = (of.tenant, of.meeting, of.epoch, server, boot)
                await connection.execute(sql.HOLD_ALLOCATION, *key)
                ids = tuple(row["id"] for row in await connection.fetch(sql.TRANSPORTS_OF, *key))
                told = await Record(connection, server, boot, of).closed(Closing(because, transports=ids))
                await connection.execute(sql.DELETE_ALLOCATIONS, *key)
                return told

    async def bury(self, boot: BootId) -> None:
        """Clear what is left of an earlier boot of this server, rows only."""
        with translated():
            await self._pool.execute(sql.BURY_BOOT, self._by[0], boot)

    async def unregister(self) -> None:
        """Give up the lease: nobody asks this boot any more."""
        with translated():
            await self._pool.execute(sql.UNREGISTER, *self._by)


def meant(call: Call) -> Allocated:
    """Return the allocation that a command means. Raises StaleEpoch when it names no epoch."""
    if call.epoch is None:
        raise StaleEpoch("the envelope names no epoch")
    return Allocated(call.tenant, call.meeting, call.epoch)


async def _as_it_was(_: asyncpg.Connection) -> None:
    """Save a round trip: nothing here changes the session, and an open transaction is rolled back by the pool itself."""


async def _rolled_back(connection: asyncpg.Connection, transaction: asyncpg.transaction.Transaction) -> None:
    try:
        await transaction.rollback()
    except Exception:
        _drop(connection)


def _drop(connection: asyncpg.Connection) -> None:
    """Close a connection of which nobody knows the state. One that was lost has left the pool already and says so."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()
