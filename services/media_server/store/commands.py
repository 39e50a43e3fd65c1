"""Commands and their one effect: what was handled, the transaction of one, and how a commit of unknown outcome is settled."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from contracts.failure import StaleEpoch, Unavailable
from contracts.ids import CommandId, TransportId
from contracts.message import Reply
from services.bus import Call
from services.media_server.room import Allocated
from services.media_server.store import sql
from services.media_server.store.database import CommitUnknown, Database
from services.media_server.store.record import Record

AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Handled:
    """How a command was answered, byte for byte."""

    hash: str
    reply_type: str
    reply: str


class Store:
    """The rows that commands read and write."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def handled(self, command: CommandId) -> Handled | None:
        """Return how the command was answered, if it is known. Absence proves nothing while a commit may be under way."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(sql.HANDLED, command)
        return None if row is None else Handled(*row)

    async def landed(self, command: CommandId) -> bool:
        """Settle a commit of unknown outcome: a marker with its id waits for it, and gets in only if it never lands."""
        async with self._database.connection() as connection:
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
        async with self._database.transaction(meant(call), sql.HOLD_ALLOCATION) as (record, _):
            await record.handled(call, reply)
            yield record

    @asynccontextmanager
    async def allocating(self, call: Call, reply: Reply) -> AsyncIterator[tuple[Record, int]]:
        """Like `recording`, but what must stand is that the meeting wants this server; gives its producer limit too."""
        async with self._database.transaction(meant(call), sql.HOLD_MEETING) as (record, producer_limit):
            await record.handled(call, reply)
            yield record, producer_limit

    @asynccontextmanager
    async def writing(self, of: Allocated) -> AsyncIterator[Record]:
        """A transaction that no command asked for; whoever opens it may do it again."""
        try:
            async with self._database.transaction(of, sql.HOLD_ALLOCATION) as (record, _):
                yield record
        except CommitUnknown as unknown:
            raise Unavailable("the database did not answer the commit") from unknown

    async def forget(self, of: Allocated) -> None:
        """Delete the rows of this boot's allocation, and of its older epochs. No events: their epoch is over."""
        async with self._database.connection() as connection:
            await connection.execute(sql.DELETE_ALLOCATIONS, of.tenant, of.meeting, of.epoch, *self._database.by)

    async def forget_transports(self, transports: Sequence[TransportId]) -> None:
        """Delete the rows of transports that closed, with all that hangs from them. No events: their epoch is over."""
        async with self._database.connection() as connection:
            await connection.execute(sql.FORGET_TRANSPORTS, transports, *self._database.by)

    async def forget_handled(self, kept: float) -> None:
        """Forget commands handled over `kept` seconds ago, some at a time: however many there are, no statement takes too long."""
        async with self._database.connection() as connection:
            some = True
            while some:
                some = await connection.execute(sql.FORGET_HANDLED, timedelta(seconds=kept), AT_ONCE) != "DELETE 0"


def meant(call: Call) -> Allocated:
    """Return the allocation that a command means. Raises StaleEpoch when it names no epoch."""
    if call.epoch is None:
        raise StaleEpoch("the envelope names no epoch")
    return Allocated(call.tenant, call.meeting, call.epoch)
