"""What the reconciler reads: this server's allocations with what their meetings want, and this boot's objects, some meetings at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.ids import RouterId
from services.media_server.drift import NOUNS, Paused, Written
from services.media_server.room import Allocated
from services.media_server.store import sql
from services.media_server.store.database import Database


@dataclass(frozen=True, slots=True)
class Wish:
    """This boot's allocation at an epoch, if there is one, and what the meeting wants of it."""

    of: Allocated
    router: RouterId | None = None
    wanted: bool = False
    kept: bool = False

    def with_rows(self, rows: Mapping[str, Paused]) -> Written:
        """Return the whole of what is written."""
        return Written(self.router, self.wanted, self.kept, rows)


Objects = dict[str, dict[str, bool | None]]
"""Objects by noun and id, and whether they are paused."""


class Looking:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def allocations(self) -> list[Wish]:
        """Return every allocation of this boot."""
        async with self._database.connection() as connection:
            return [_wish(row) for row in await connection.fetch(sql.WISHES, *self._database.by)]

    async def wish(self, of: Allocated) -> Wish:
        """Return what is written of one meeting at one epoch."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(sql.WISH, of.tenant, of.meeting, of.epoch, *self._database.by)
        return _wish(row)

    async def objects(self, of: Sequence[Allocated]) -> dict[Allocated, Objects]:
        """Return the objects that this boot's rows name, by allocation and noun."""
        found: dict[Allocated, Objects] = {one: {noun: {} for noun in NOUNS} for one in of}
        columns = [[one.tenant for one in of], [one.meeting for one in of], [one.epoch for one in of]]
        async with self._database.connection() as connection:
            rows = await connection.fetch(sql.OBJECTS, *columns, *self._database.by)
        for row in rows:
            found[Allocated(row["tenant"], row["meeting"], row["epoch"])][row["noun"]][row["id"]] = row["paused"]
        return found


def _wish(row: Mapping[str, Any]) -> Wish:
    of = Allocated(row["tenant"], row["meeting"], row["epoch"])
    return Wish(of, row["router"], row["wanted"], row["kept"])
