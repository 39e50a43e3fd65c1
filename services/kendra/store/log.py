"""The meetings' event logs as the relay reads them, and the hint of how far Redis has them."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.failure import MeetingNotFound
from contracts.follow_events import EventsFollowed
from contracts.ids import Epoch, MeetingId, TenantId
from services.bus import Call
from services.kendra.store.database import Database, Row
from services.kendra.store.resolving import may_read

LogKey = tuple[TenantId, MeetingId]

READ = """
    select h.head, h.base, m.incarnation::text, m.ended_at is not null as ended, e.sequence, e.epoch, e.type, e."to", e.body,
        to_char(e.at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at
    from event_heads h
    join meetings m on m.tenant = h.tenant and m.meeting = h.meeting
    left join relays r on r.tenant = h.tenant and r.meeting = h.meeting
    left join lateral (
        select * from events e where e.tenant = h.tenant and e.meeting = h.meeting
        and e.sequence > greatest(coalesce($3, r.relayed, 0), h.base) order by e.sequence limit $4
    ) e on true
    where h.tenant = $1 and h.meeting = $2
    order by e.sequence
"""

HINT = """
    insert into relays as r (tenant, meeting, relayed) select * from unnest($1::text[], $2::text[], $3::bigint[])
    on conflict (tenant, meeting) do update set relayed = excluded.relayed where r.relayed < excluded.relayed
"""

LEFT = """
    select h.tenant, h.meeting
    from (select distinct tenant, meeting from events where at > now() - make_interval(secs => $1)) recent
    join event_heads h on h.tenant = recent.tenant and h.meeting = recent.meeting
    left join relays r on r.tenant = h.tenant and r.meeting = h.meeting
    join events e on e.tenant = h.tenant and e.meeting = h.meeting and e.sequence = h.head
    where h.head > coalesce(r.relayed, 0) and e.at < now() - interval '1 second'
    limit $2
"""

LIVE = """
    select tenant, meeting from meetings where ended_at is null
    union all select tenant, meeting from meetings where ended_at > now() - interval '1 minute'
"""

RESET = "select reset_log($1, $2, $3)"

FOLLOW = """
    select m.incarnation::text, h.head, h.epoch, p.seat
    from meetings m
    join event_heads h on h.tenant = m.tenant and h.meeting = m.meeting
    left join participants p on p.tenant = m.tenant and p.meeting = m.meeting and p.participant = $3 and p.left_at is null
    where m.tenant = $1 and m.meeting = $2 and m.ended_at is null
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as the stream carries it."""

    sequence: int
    fields: tuple[str, ...]
    """Names and values in turn: type, epoch, at, to, body."""


@dataclass(frozen=True, slots=True)
class Run:
    """What Redis may lack: the lowest first, at most one batch."""

    stream: str
    head: int
    base: int
    ended: bool
    entries: tuple[Entry, ...]


class Log:
    """Reads of the log; its writers are the functions that append."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, of: LogKey, after: int | None, limit: int = 200) -> Run | None:
        """Return the events after `after` (None: after the hint); None when there is no such meeting."""
        rows = await self._database.rows(READ, *of, after, limit)
        if not rows:
            return None
        first = rows[0]
        entries = tuple(_entry(row) for row in rows if row["sequence"] is not None)
        return Run(stream_of(of, first["incarnation"]), first["head"], first["base"], first["ended"], entries)

    async def keep_hints(self, relayed: Mapping[LogKey, int]) -> None:
        """Keep how far Redis is thought to have these logs."""
        keys = sorted(relayed)
        tenants, meetings = [key[0] for key in keys], [key[1] for key in keys]
        await self._database.write(HINT, tenants, meetings, [relayed[key] for key in keys])

    async def left(self, within: float, limit: int) -> list[LogKey]:
        """Return the logs (of those that grew in the last `within` seconds) that Redis seems to lack something of for a second."""
        return [(row["tenant"], row["meeting"]) for row in await self._database.rows(LEFT, within, limit)]

    async def live(self) -> list[LogKey]:
        """Return all logs that somebody may follow; those that ended just now too, for their end must be told."""
        return [(row["tenant"], row["meeting"]) for row in await self._database.rows(LIVE)]

    async def reset(self, of: LogKey, redis_has: int) -> None:
        """Let the log go on above what Redis has, with a gap that readers see."""
        await self._database.write(RESET, *of, redis_has)

    async def followed(self, call: Call) -> EventsFollowed:
        """Return the caller's stream. Raises MeetingNotFound, StaleInstance, Forbidden."""
        row = await self._database.row(FOLLOW, call.tenant, call.meeting, call.actor.participant)
        if row is None:
            raise MeetingNotFound
        may_read(call, row["seat"])
        stream = stream_of((call.tenant, call.meeting), row["incarnation"])
        return EventsFollowed(stream=stream, head=row["head"], epoch=Epoch(row["epoch"]))


def stream_of(of: LogKey, incarnation: str) -> str:
    """Return the name of a meeting's Redis Stream, without the deployment's prefix."""
    return f"events:{{{of[0]}:{of[1]}:{incarnation}}}"


def _entry(row: Row) -> Entry:
    fields = (
        "type",
        row["type"],
        "epoch",
        str(row["epoch"]),
        "at",
        row["at"],
        "to",
        row["to"] or "",
        "body",
        row["body"],
    )
    return Entry(row["sequence"], fields)
