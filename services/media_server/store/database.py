"""Connections of one boot of a media server, its transactions about a meeting, and what a failure of the database means.

A transaction about a meeting begins with the meeting's lock and the check that this server's part in it still stands. A
COMMIT without an answer is `CommitUnknown`: nothing may be concluded from it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import asyncpg

from contracts.failure import MeetingNotFound, StaleEpoch, Unavailable
from contracts.ids import BootId, MediaServerId
from services.fault_points import Point, reached
from services.media_server.room import Allocated
from services.media_server.store.record import Record

SESSION = {
    "application_name": "doordarshan media server",
    "lock_timeout": "1500ms",
    "statement_timeout": "3s",
    "idle_in_transaction_session_timeout": "5s",
    "jit": "off",
}
COMMAND_TIMEOUT = 4.0
ACQUIRE_TIMEOUT = 2.0


_MEANING = {"DK001": StaleEpoch, "DK002": MeetingNotFound}
_AWAY = ("08", "25", "40", "53", "55", "57", "58", "XX")
"""Connection, read-only after a failover, serialization and deadlock, resources, locks, intervention, system: the same command may succeed later."""


class CommitUnknown(Exception):
    """COMMIT was sent and not answered: it may have landed, now or later."""


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
        if state.startswith(_AWAY):
            raise Unavailable(f"the database cannot do this now ({state})") from error
        raise
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
        raise Unavailable("the database is away") from error


class Database:
    """A pool. `by` is the server and boot whose rows these are."""

    def __init__(self, pool: asyncpg.Pool, server: MediaServerId, boot: BootId) -> None:
        self.pool = pool
        self.by = (server, boot)

    @classmethod
    def open(cls, url: str, server: MediaServerId, boot: BootId, connections: int = 10) -> "Database":
        """Return a database that is connected to when it is first needed: one that is away is no reason not to start."""
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
        """Open the pool, on the running loop."""
        await self.pool

    async def close(self) -> None:
        """Give the connections back; one that hangs is dropped after 2 s. Fine if it was never started."""
        with suppress(asyncpg.InterfaceError):
            with suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    await self.pool.close()
            self.pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Give a connection. Raises Unavailable."""
        with translated():
            async with self.pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self, of: Allocated, hold: str) -> AsyncIterator[tuple[Record, int]]:
        """Open a transaction about a meeting with the statement `hold`, commit it at the end; gives what `hold` answered too.

        Raises StaleEpoch, MeetingNotFound, Unavailable (surely nothing was written), CommitUnknown.
        """
        async with self.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                held = await connection.fetchval(hold, of.tenant, of.meeting, of.epoch, *self.by)
                yield Record(connection, *self.by, of), held
            except BaseException:
                await _rolled_back(connection, transaction)
                raise
            try:
                reached(Point.BEFORE_COMMIT)
                await transaction.commit()
                reached(Point.AFTER_COMMIT)
            except Exception as error:
                _drop(connection)
                raise CommitUnknown from error


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
