"""A boot's own rows: its lease and load, which allocations it has and which are not wanted, and what a boot leaves."""

from dataclasses import dataclass
from datetime import timedelta

from contracts.events import ClosedBecause
from contracts.ids import BootId, WorkerId
from services.media_server.room import Allocated, Closing
from services.media_server.store import sql
from services.media_server.store.database import Database
from services.media_server.store.record import Record


class NotRegistered(Exception):
    """This boot has no row any more: it was buried, or another one took the name."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a renewal reports. `cpu` is a share of what this process can use, `egress` in bit/s."""

    cpu: float
    egress: float
    streams: dict[WorkerId, int]


@dataclass(frozen=True, slots=True)
class Unwanted:
    """An allocation that its meeting does not want any more. `keeps`: its router may forward so many seconds yet."""

    of: Allocated
    keeps: float


class Boots:
    """The rows of this server's boots. Unless one is named, this process's own boot is meant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, address: str, capacity: int, egress_limit: float) -> None:
        """Take the name: from here on the lease runs, and kendra may place meetings here."""
        async with self._database.connection() as connection:
            await connection.execute(sql.REGISTER, *self._database.by, address, capacity, egress_limit)

    async def renew(self, load: Load) -> None:
        """Renew the lease by the database's clock and report the load. Raises NotRegistered when this boot has no row."""
        async with self._database.connection() as connection:
            streams = load.streams
            row = (load.cpu, load.egress, sum(streams.values()), list(streams), list(streams.values()))
            if await connection.fetchval(sql.RENEW, *self._database.by, *row) is None:
                raise NotRegistered

    async def must_stand(self) -> None:
        """Raise NotRegistered when this boot has no row; renew nothing."""
        async with self._database.connection() as connection:
            if await connection.fetchval(sql.STANDS, *self._database.by) is None:
                raise NotRegistered

    async def unwanted(self) -> list[Unwanted]:
        """Return this boot's allocations that their meetings do not want any more."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(sql.UNWANTED, *self._database.by)
        return [Unwanted(Allocated(*row[:3]), row["keeps"]) for row in rows]

    async def earlier_boots(self) -> list[BootId]:
        """Return the boots under this server's name that started before this one."""
        async with self._database.connection() as connection:
            return [row["boot"] for row in await connection.fetch(sql.EARLIER_BOOTS, *self._database.by)]

    async def forgotten(self) -> list[BootId]:
        """Return the boots that are neither this one nor a newer one and have rows of this server."""
        async with self._database.connection() as connection:
            return [row["boot"] for row in await connection.fetch(sql.FORGOTTEN_BOOTS, *self._database.by)]

    async def allocations(self, boot: BootId) -> list[Allocated]:
        """Return what a boot of this server left, or has."""
        async with self._database.connection() as connection:
            return [Allocated(*row) for row in await connection.fetch(sql.ALLOCATIONS_OF, self._database.by[0], boot)]

    async def clear(self, of: Allocated, boot: BootId, because: ClosedBecause) -> int:
        """Delete a boot's rows of one meeting and tell the meeting. Return how many events that made.

        Raises StaleEpoch, MeetingNotFound when the meeting is elsewhere or over: then there is nobody to tell (`forget`).
        """
        server = self._database.by[0]
        key = (of.tenant, of.meeting, of.epoch, server, boot)
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(sql.HOLD_ALLOCATION, *key)
            ids = tuple(row["id"] for row in await connection.fetch(sql.TRANSPORTS_OF, *key))
            told = await Record(connection, server, boot, of).closed(Closing(because, transports=ids))
            await connection.execute(sql.DELETE_ALLOCATIONS, *key)
            return told

    async def forget(self, of: Allocated, boot: BootId) -> None:
        """Delete a boot's rows of one meeting and tell nobody."""
        async with self._database.connection() as connection:
            server = self._database.by[0]
            await connection.execute(sql.DELETE_ALLOCATIONS, of.tenant, of.meeting, of.epoch, server, boot)

    async def bury(self, boot: BootId, lease: float) -> None:
        """Clear what is left of an earlier boot of this server, rows only."""
        async with self._database.connection() as connection:
            await connection.execute(sql.BURY_BOOT, self._database.by[0], boot, timedelta(seconds=lease))

    async def unregister(self) -> None:
        """Give up the lease: nobody asks this boot any more."""
        async with self._database.connection() as connection:
            await connection.execute(sql.UNREGISTER, *self._database.by)
