"""Connections to Postgres, and the one place where its errors become ours.

* A write runs in a task of its own, which no deadline cancels: a commit under way is waited for, or left to land.
* No transaction stays open across anything but SQL; the server ends one that forgets itself.
* Postgres may be away at any time, at the start too: connections are made when they are needed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TypeAlias, TypeVar

import asyncpg

from contracts.failure import (
    Forbidden,
    IdempotencyKeyReused,
    KendraError,
    MediaServerUnavailable,
    MeetingFull,
    MeetingNotFound,
    ParticipantNotFound,
    StaleEpoch,
    StaleInstance,
    Unavailable,
)
from services.fault_points import Point, reached

Row: TypeAlias = asyncpg.Record
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
T = TypeVar("T")


class NoRoom(KendraError):
    """The server that was picked filled up, or began to drain, meanwhile; look again."""

    code = "no_room"


RAISED: dict[str, type[KendraError]] = {
    "DK001": StaleEpoch,
    "DK002": MeetingNotFound,
    "DK003": MediaServerUnavailable,
    "DK004": StaleInstance,
    "DK005": MeetingFull,
    "DK006": Forbidden,
    "DK007": IdempotencyKeyReused,
    "DK008": ParticipantNotFound,
    "DK009": NoRoom,
}
"""What the functions of the migrations raise."""

_AWAY = ("08", "53", "57", "25006", "40", "55P03")
"""Sqlstates, or their classes, that a repeat may cure: connection, resources, shutdown and timeouts, read-only, conflicts, locks."""


TAKE_LOCK = """
    select case when taken then set_config('idle_session_timeout', $2, false) end is not null
    from (select pg_try_advisory_lock($1) as taken) lock
"""
GIVE_LOCK_BACK = "select set_config('idle_session_timeout', '0', false), pg_advisory_unlock($1)"

_PATIENCE = 2.0
"""The longest wait for a connection, seconds."""
_HUNG = 5.0
"""A server that answers nothing for so long, seconds, is given up; its own limits are lower."""


class Database:
    """A pool of connections. Every method raises KendraErrors only, or what is a mistake of ours."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def row(self, sql: str, *values: object) -> Row | None:
        """Read one row."""
        with translated():
            return await self._pool.fetchrow(sql, *values)

    async def rows(self, sql: str, *values: object) -> Sequence[Row]:
        """Read rows."""
        with translated():
            found: Sequence[Row] = await self._pool.fetch(sql, *values)
            return found

    async def write(self, sql: str, *values: object) -> Row | None:
        """Run one statement that writes, as a transaction of its own; return its first row."""

        async def once(connection: Connection) -> Row | None:
            reached(Point.BEFORE_COMMIT)
            return await connection.fetchrow(sql, *values)

        return await self._landing(once)

    async def transaction(self, body: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `body` in one transaction."""

        async def once(connection: Connection) -> T:
            async with connection.transaction():
                result = await body(connection)
                reached(Point.BEFORE_COMMIT)
            return result

        return await self._landing(once)

    @asynccontextmanager
    async def alone(self, lock: int, unheard: float) -> AsyncIterator[bool]:
        """Hold a session's advisory lock, and no transaction, while inside; False when another process has it.

        A holder that the database did not hear of for `unheard` seconds loses it: a process that is frozen, while its kernel goes on
        answering for its connections, holds up nobody for ever. What it does when it wakes up must be harmless.
        """
        with translated():
            async with self._pool.acquire(timeout=_PATIENCE) as connection:
                if not await connection.fetchval(TAKE_LOCK, lock, str(int(unheard * 1000))):
                    yield False
                    return
                over = asyncio.Event()
                keeping = asyncio.create_task(_keep_heard(connection, unheard / 4, over))
                try:
                    yield True
                finally:
                    over.set()
                    await _unlock(connection, lock, keeping)

    async def close(self) -> None:
        """Give the connections back, roughly when they do not come in time."""
        try:
            async with asyncio.timeout(1.0):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _landing(self, once: Callable[[Connection], Awaitable[T]]) -> T:
        """Await a write; being cancelled before it began forgets it, afterwards it cancels only the waiting."""
        with translated():
            connection = await self._pool.acquire(timeout=_PATIENCE)
            task = asyncio.create_task(self._released(connection, once))
            task.add_done_callback(_looked_at)
            return await asyncio.shield(task)

    async def _released(self, connection: Connection, once: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            result = await once(connection)
            reached(Point.AFTER_COMMIT)
            return result
        finally:
            await self._pool.release(connection)


async def connect(url: str, most: int) -> Database:
    """Return the pool; nothing is connected yet. A connection is not reset between uses, for nobody leaves state on one."""
    pool = asyncpg.create_pool(
        url,
        min_size=0,
        max_size=most,
        timeout=_PATIENCE,
        command_timeout=_HUNG,
        max_inactive_connection_lifetime=60.0,
        reset=_nothing_to_reset,
        server_settings={
            "application_name": "kendra",
            "timezone": "UTC",
            "jit": "off",
            "statement_timeout": "3000",
            "lock_timeout": "2500",
            "idle_in_transaction_session_timeout": "5000",
            # The database notices within about 25 s that this process is cut off, and gives back the lock of the sweep.
            "tcp_keepalives_idle": "10",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        },
    )
    return Database(await pool)


async def _keep_heard(connection: Connection, every: float, over: asyncio.Event) -> None:
    """Say something on the connection again and again."""
    while not over.is_set():
        await connection.fetchval("select 1")
        with suppress(TimeoutError):
            async with asyncio.timeout(every):
                await over.wait()


async def _unlock(connection: Connection, lock: int, keeping: "asyncio.Task[None]") -> None:
    """Give a session's advisory lock back; a connection that may still have it is closed, for nobody else could ever take it."""
    try:
        await keeping
        await connection.fetchval(GIVE_LOCK_BACK, lock)
    except BaseException:
        connection.terminate()
        raise


async def _nothing_to_reset(_: Connection) -> None:
    return None


def _looked_at(task: "asyncio.Task[T]") -> None:
    """Take the exception of a write that nobody waits for any more."""
    if not task.cancelled():
        task.exception()


@contextmanager
def translated() -> Iterator[None]:
    """Turn what asyncpg raises into our errors."""
    try:
        yield
    except asyncpg.PostgresError as error:
        state: str = getattr(error, "sqlstate", None) or ""
        if state in RAISED:
            raise RAISED[state] from None
        if state.startswith(_AWAY):
            raise Unavailable(f"the database: {error}") from error
        raise
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise Unavailable("the database cannot be reached") from error
