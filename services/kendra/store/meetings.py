"""Meetings: create, move, end. The intent: which server shall carry a meeting, and what it booked there.

Locks are taken in one order everywhere: head row, meeting, bookings by server name. The decision itself is `placement`'s; it is made
twice, before the locks over all servers and under them over the two best, for others book meanwhile.
A move needs no step of its own in `steps`: it happens only while the epoch is the one that was read.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import uuid4

from contracts.events import MeetingCreatedEvent, MeetingMovedEvent
from contracts.failure import MeetingExists, MeetingNotFound, NoCapacity
from contracts.ids import BootId, Epoch, MediaServerId, MeetingId, RouterId, TenantId
from contracts.meeting import Capacity
from services.bus import NO_BODY, Call
from services.kendra import placement
from services.kendra.place import LeftBehind, Place
from services.kendra.placement import Booking, Ranking, Request, Server
from services.kendra.policy import DEFAULT, Policy
from services.kendra.store.database import Connection, Database, NoRoom, Row
from services.kendra.store.servers import ServerRows

T = TypeVar("T")

LOCK_NEW = "select * from lock_place($1, $2, $3, $4)"
LOCK = "select * from lock_place($1, $2)"
LOCK_BOOKINGS = "select server, booked, capacity, draining from lock_bookings($1)"
PLACE = "select place_meeting($1, $2, $3, $4, $5, $6, $7, $8, $9)"
UNPLACE = "select unplace_meeting($1, $2, $3)"
EXPLAIN = "insert into placements (tenant, meeting, epoch, decision) values ($1, $2, $3, $4)"
END = "select * from end_meeting($1, $2, $3, $4, $5)"

_TWO_BEST = 2
_NEVER = Epoch(0)
"""Stands for the epoch in a decision until one has begun."""
_LOOKS = 8
"""How often servers that were found may fill up before they are locked."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What shall be placed, and what its clients are told."""

    tenant: TenantId
    meeting: MeetingId
    capacity: Capacity
    event: str
    keep: timedelta | None = None
    """How long the router that is left goes on forwarding."""


class Meetings:
    """What kendra wants of each meeting."""

    def __init__(self, database: Database, servers: ServerRows, lease: float, policy: Policy = DEFAULT) -> None:
        self._database = database
        self._servers = servers
        self._lease = lease
        self.policy = policy

    async def create(self, call: Call, capacity: Capacity) -> bool:
        """Have the meeting wanted somewhere; return whether it was before this command.

        Raises MeetingExists (it runs with other settings), NoCapacity, IdempotencyKeyReused, MeetingNotFound (this very command
        created it, and it ended since).
        """
        request = Request(capacity.streams, self._lease, policy=self.policy)
        wanted = _Wanted(call.tenant, call.meeting, capacity, MeetingCreatedEvent.type)

        async def attempt(ranking: Ranking, now: datetime, on: Connection) -> bool:
            row = await on.fetchrow(LOCK_NEW, call.tenant, call.meeting, call.command_id, call.body_hash)
            if not _wants_a_place(row, capacity):
                return not row["repeated"]
            ranking, chosen = await _lower(on, ranking, now)
            await _place(on, wanted, ranking, chosen, now)
            return False

        try:
            return await self._looking(request, attempt)
        except NoCapacity:
            await self._explain_failure(call, request)
            raise

    async def move(self, place: Place, refused: Mapping[MediaServerId, str], *, lost: RouterId | None = None) -> bool:
        """Have the meeting wanted elsewhere than `refused`, unless somebody did, or its router exists after all; return whether this call did.

        `lost`: that router died with its worker, so its row keeps the meeting in no place. Raises NoCapacity: no server is left, the
        booking was given back, the meeting was told and waits for a place.
        """

        async def attempt(ranking: Ranking, now: datetime, on: Connection) -> bool | None:
            row = await _locked(on, place)
            if row["epoch"] != place.epoch or row["router"] not in {None, lost}:
                return False
            if not ranking.eligible:
                await _unplace(on, place, ranking, now)
                return None
            ranking, chosen = await _lower(on, ranking, now)
            await _place(on, _wanted(place), ranking, chosen, now)
            return True

        moved = await self._looking(self._request(place, refused), attempt)
        if moved is None:
            raise NoCapacity
        return moved

    async def leave(self, place: Place, keep: float | None) -> bool:
        """Have a meeting wanted elsewhere though its router runs, which goes on for `keep` seconds; return whether this call did it.

        Raises NoCapacity: no server has room, and the meeting stays where it is.
        """

        async def attempt(ranking: Ranking, now: datetime, on: Connection) -> bool:
            row = await _locked(on, place)
            if row["epoch"] != place.epoch:
                return False
            ranking, chosen = await _lower(on, ranking, now)
            await _place(on, _wanted(place, keep), ranking, chosen, now)
            return True

        return await self._looking(self._request(place, _not_here(place)), attempt)

    async def with_room(self, places: Sequence[Place]) -> list[Place]:
        """Return those that another server could take as things are; trying the others would only write down that none can."""
        if not places:
            return []
        now, servers = await self._servers.candidates()
        return [one for one in places if placement.rank(servers, self._request(one, _not_here(one)), now).eligible]

    async def end(self, call: Call) -> LeftBehind | None:
        """End the meeting; return the router it leaves behind. Raises MeetingNotFound, IdempotencyKeyReused."""
        row = await self._database.write(END, call.tenant, call.meeting, call.command_id, call.body_hash, None)
        return _ended(row)

    async def end_if_empty(self, tenant: TenantId, meeting: MeetingId, empty_for: float) -> LeftBehind | None:
        """End a meeting that has been empty that long. Raises MeetingNotFound when it is not."""
        empty = timedelta(seconds=empty_for)
        return _ended(await self._database.write(END, tenant, meeting, uuid4(), NO_BODY, empty))

    def _request(self, place: Place, refused: Mapping[MediaServerId, str]) -> Request:
        held = None if place.server is None else (place.server, place.streams)
        return Request(place.streams, self._lease, refused, held, self.policy)

    async def _looking(self, request: Request, attempt: Callable[[Ranking, datetime, Connection], Awaitable[T]]) -> T:
        """Look at the servers, then try in a transaction; look again when the two best filled up in between."""
        for _ in range(_LOOKS):
            now, servers = await self._servers.candidates()
            ranking = placement.rank(servers, request, now)
            try:
                return await self._database.transaction(partial(attempt, ranking, now))
            except NoRoom:
                continue
        raise NoCapacity

    async def _explain_failure(self, call: Call, request: Request) -> None:
        now, servers = await self._servers.candidates()
        failed = placement.decision(placement.rank(servers, request, now), None, now, _NEVER)
        await self._database.write(EXPLAIN, call.tenant, call.meeting, _NEVER, failed.model_dump_json(by_alias=True))


def _wants_a_place(row: Row, capacity: Capacity) -> bool:
    """Judge the meeting that a create found, locked. Raises MeetingExists, MeetingNotFound."""
    running = row["epoch"] is not None and not row["ended"]
    if row["repeated"]:
        if not running:
            raise MeetingNotFound
        return False
    if not running or row["server"] is None:
        return True
    if (row["participants"], row["producers"]) != (capacity.participants, capacity.producers):
        raise MeetingExists
    return False


def _wanted(place: Place, keep: float | None = None) -> _Wanted:
    """Return what a move places."""
    capacity = Capacity(participants=place.participants, producers=place.producers)
    kept = None if keep is None else timedelta(seconds=keep)
    return _Wanted(place.tenant, place.meeting, capacity, MeetingMovedEvent.type, kept)


def _not_here(place: Place) -> Mapping[MediaServerId, str]:
    return {} if place.server is None else {place.server: "it is left"}


async def _locked(on: Connection, place: Place) -> Row:
    """Lock a meeting and read it. Raises MeetingNotFound when it is over."""
    row = await on.fetchrow(LOCK, place.tenant, place.meeting)
    assert row is not None, "lock_place returns one row"
    if row["ended"] or row["epoch"] is None:
        raise MeetingNotFound
    return row


async def _lower(on: Connection, ranking: Ranking, now: datetime) -> tuple[Ranking, Server]:
    """Lock the bookings of the two best, and of the server that the meeting leaves, by name; compare again."""
    if not ranking.eligible:
        raise NoCapacity
    names = {server.name for server in ranking.eligible[:_TWO_BEST]}
    if ranking.request.held is not None:
        names.add(ranking.request.held[0])
    rows = await on.fetch(LOCK_BOOKINGS, sorted(names))
    ranking, chosen = placement.locked(ranking, [Booking(**dict(row)) for row in rows], now)
    if chosen is None:
        raise NoRoom
    return ranking, chosen


async def _place(on: Connection, wanted: _Wanted, ranking: Ranking, chosen: Server, now: datetime) -> None:
    why = placement.decision(ranking, chosen, now, _NEVER).model_dump_json(by_alias=True)
    size = (wanted.capacity.participants, wanted.capacity.producers)
    where = (*size, chosen.name, chosen.boot)
    await on.fetchval(PLACE, wanted.tenant, wanted.meeting, *where, wanted.event, why, wanted.keep)


async def _unplace(on: Connection, place: Place, ranking: Ranking, now: datetime) -> None:
    why = placement.decision(ranking, None, now, place.epoch).model_dump_json(by_alias=True)
    await on.fetchval(UNPLACE, place.tenant, place.meeting, why)


def _ended(row: Row | None) -> LeftBehind | None:
    return None if row is None else LeftBehind(MediaServerId(row["server"]), BootId(row["boot"]), Epoch(row["epoch"]))
