"""Retention: rows past their time go, some at a time, so that no statement takes long and locks are short.

A running meeting's history outlives its events: what they came to is kept (`log_bases`) before they go. A meeting that ended is
forgotten as a whole, its log with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter

import structlog

from contracts.failure import KendraError
from services.kendra import meeting
from services.kendra.store.database import Database, Row

log = structlog.stdlib.get_logger("sweep")

FORGET_STEPS = """
    with gone as (
        delete from steps where (command, step) in (
            select command, step from steps where at < now() - make_interval(secs => $1) order by at limit $2
        ) returning 1
    )
    select count(*) from gone
"""
FORGET_PLACEMENTS = """
    with gone as (
        delete from placements where id in (
            select id from placements where at < now() - make_interval(secs => $1) order by at limit $2
        ) returning 1
    )
    select count(*) from gone
"""
FORGET_SEATS = """
    with old as (
        select tenant, meeting, participant, instance from participants
        where left_at < now() - make_interval(secs => $1) and closed_below > seat order by left_at limit $2 for update skip locked
    ), gone as (
        delete from participants p using old o
        where p.tenant = o.tenant and p.meeting = o.meeting and p.participant = o.participant and p.instance = o.instance
        returning 1
    )
    select count(*) from gone
"""
FORGET_MEETINGS = """
    with old as (
        select m.tenant, m.meeting from meetings m
        where m.ended_at < now() - make_interval(secs => $1)
        and not exists (select from allocations a where a.tenant = m.tenant and a.meeting = m.meeting)
        order by m.ended_at limit $2
    ), gone as (select forget_meeting(tenant, meeting, make_interval(secs => $1)) as forgotten from old order by tenant, meeting)
    select count(*) filter (where forgotten) from gone
"""
OLD_EVENTS = """
    with oldest as (
        select tenant, meeting, max(sequence) as up_to from (
            select tenant, meeting, sequence from events where at < now() - make_interval(secs => $1) order by at limit $2
        ) old group by tenant, meeting
    )
    select o.tenant, o.meeting, h.base, b.sequence as kept, b.state, e.sequence, e.at, e.type, e.body
    from oldest o
    join event_heads h on h.tenant = o.tenant and h.meeting = o.meeting
    left join log_bases b on b.tenant = o.tenant and b.meeting = o.meeting
    join events e on e.tenant = o.tenant and e.meeting = o.meeting and e.sequence between h.base + 1 and o.up_to
    order by o.tenant, o.meeting, e.sequence
"""
KEEP_BASES = """
    select coalesce(sum(keep_base(tenant, meeting, base, up_to, up_to_at, state)), 0)::bigint
    from (
        select * from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::jsonb[])
            as one (tenant, meeting, base, up_to, up_to_at, state)
        order by tenant, meeting
    ) logs
"""

AT_ONCE = 500
"""Rows that one statement deletes."""
_STATEMENTS = 20
"""The most statements for one kind of rows before the sweep does something else."""


@dataclass(frozen=True, slots=True)
class Kept:
    """For how long, seconds."""

    steps: float
    placements: float
    events: float
    meetings: float


class Forgetting:
    """Deletes what is past its time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def everything(self, kept: Kept) -> bool:
        """Delete what is past its time, some at a time; return whether nothing was left. What fails does not stop the other kinds."""
        kinds = (
            (FORGET_STEPS, kept.steps),
            (FORGET_SEATS, kept.steps),
            (FORGET_PLACEMENTS, kept.placements),
            (OLD_EVENTS, kept.events),
            (FORGET_MEETINGS, kept.meetings),
        )
        done, failure = True, None
        for sql, seconds in kinds:
            try:
                done &= await self._all_of(sql, seconds)
            except KendraError as error:
                failure = error
        if failure is not None:
            raise failure
        return done

    async def _all_of(self, sql: str, seconds: float) -> bool:
        """Delete one kind of rows; return whether nothing was left."""
        for _ in range(_STATEMENTS):
            gone = await (self._events(seconds) if sql is OLD_EVENTS else self._rows(sql, seconds))
            if gone < AT_ONCE:
                return True
        return False

    async def _rows(self, sql: str, seconds: float) -> int:
        row = await self._database.write(sql, seconds, AT_ONCE)
        assert row is not None, "a count is one row"
        return int(row[0])

    async def _events(self, seconds: float) -> int:
        """Delete the oldest events, and keep what each log came to up to there. Return how many went."""
        rows = await self._database.rows(OLD_EVENTS, seconds, AT_ONCE)
        logs = [_folded(list(of)) for _, of in groupby(rows, key=itemgetter("tenant", "meeting"))]
        if not logs:
            return 0
        row = await self._database.write(KEEP_BASES, *(list(column) for column in zip(*logs, strict=True)))
        assert row is not None, "a sum is one row"
        return int(row[0])


def _folded(rows: Sequence[Row]) -> tuple[object, ...]:
    """Return what `keep_base` takes for one log. What is kept already may be later than what is forgotten: then it stays."""
    first, last = rows[0], rows[-1]
    known = meeting.Meeting(sequence=first["base"]) if first["state"] is None else meeting.from_json(first["state"])
    later = [row for row in rows if row["sequence"] > known.sequence]
    try:
        state = meeting.fold(known, [(row["sequence"], meeting.event(row["type"], row["body"])) for row in later])
    except meeting.OutOfOrder as hole:
        # Somebody changed the log by hand. Its history is wrong from here on, but nobody else's rows wait for it.
        log.error("a log has a hole", tenant=first["tenant"], meeting=first["meeting"], hole=str(hole))
        state = replace(known, sequence=last["sequence"])
    return first["tenant"], first["meeting"], first["base"], last["sequence"], last["at"], meeting.as_json(state)
