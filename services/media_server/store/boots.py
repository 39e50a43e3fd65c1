"""A boot's own rows: its lease and load, which allocations it has and which are not wanted, and what a boot leaves."""

from dataclasses import dataclass
from datetime import timedelta

from contracts.ids import BootId, WorkerId
from services.media_server.room import Allocated
from services.media_server.store import sql
from services.media_server.store.database import Database


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

    async def bury(self, boot: BootId, lease: float) -> None:
        """Clear what is left of an earlier boot of this server, rows only."""
        async with self._database.connection() as connection:
            await connection.execute(sql.BURY_BOOT, self._database.by[0], boot, timedelta(seconds=lease))

    async def unregister(self) -> None:
        """Give up the lease with every allocation: nobody asks this boot any more, and kendra moves its meetings at once."""
        async with self._database.connection() as connection:
            await connection.execute(sql.UNREGISTER, *self._database.by)
