"""What the sweep looks for: seats without a transport, closings nobody confirmed, empty meetings, rows past their time."""

from dataclasses import dataclass

from contracts.failure import KendraError
from contracts.ids import MeetingId, ParticipantId, Seat, TenantId
from services.kendra.store.database import Database

UNUSED = """
    not exists (
        select from transports t where t.tenant = m.tenant and t.meeting = m.meeting and t.epoch = m.epoch
        and t.participant = p.participant and t.seat = p.seat
    )
"""

NOTE_IDLE = f"""
    with idle as (
        select p.tenant, p.meeting, p.participant, p.instance
        from participants p join meetings m on m.tenant = p.tenant and m.meeting = p.meeting and m.ended_at is null
        where p.left_at is null and p.idle_since is null and {UNUSED}
        for update of p skip locked
    )
    update participants p set idle_since = now() from idle i
    where p.tenant = i.tenant and p.meeting = i.meeting and p.participant = i.participant and p.instance = i.instance
"""  # noqa: S608

NOTE_USED = f"""
    with used as (
        select p.tenant, p.meeting, p.participant, p.instance
        from participants p join meetings m on m.tenant = p.tenant and m.meeting = p.meeting and m.ended_at is null
        where p.left_at is null and p.idle_since is not null and not {UNUSED}
        for update of p skip locked
    )
    update participants p set idle_since = null from used u
    where p.tenant = u.tenant and p.meeting = u.meeting and p.participant = u.participant and p.instance = u.instance
"""  # noqa: S608

GHOSTS = """
    select p.tenant, p.meeting, p.participant, p.seat
    from participants p join meetings m on m.tenant = p.tenant and m.meeting = p.meeting and m.ended_at is null
    where p.left_at is null and p.idle_since + make_interval(secs => $2) < clock_timestamp()
    and greatest(p.joined_at, m.placed_at) + make_interval(secs => $1) < clock_timestamp()
    limit 200
"""

UNCONFIRMED = """
    select p.tenant, p.meeting, p.participant,
        max(case when p.left_at is null then p.seat else p.seat + 1 end) as below
    from participants p
    join meetings m on m.tenant = p.tenant and m.meeting = p.meeting and m.server is not null
    join media_servers s on s.server = m.server and s.boot = m.boot and s.renewed_at > now() - make_interval(secs => $1)
    where p.closed_below < p.seat or (p.left_at is not null and p.closed_below = p.seat)
    group by p.tenant, p.meeting, p.participant
    having max(coalesce(p.left_at, p.joined_at)) < clock_timestamp() - interval '1 second'
    limit 200
"""

EMPTY = """
    select tenant, meeting from meetings
    where empty_since + make_interval(secs => $1) < clock_timestamp() and ended_at is null limit 200
"""

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
FORGET_EVENTS = """
    with old as (
        select tenant, meeting, max(sequence) as up_to, count(*) as number from (
            select tenant, meeting, sequence from events where at < now() - make_interval(secs => $1) order by at limit $2
        ) oldest group by tenant, meeting order by tenant, meeting
    ), gone as (select number, forget_events(tenant, meeting, up_to) from old)
    select coalesce(sum(number), 0)::bigint from gone
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

AT_ONCE = 500
"""Rows that one statement deletes, so that none takes longer than a statement may, and locks are short."""
_STATEMENTS = 20
"""The most statements for one kind of rows before the sweep does something else."""


@dataclass(frozen=True, slots=True)
class SeatKey:
    """A seat, or with `seat` as a bound all lower ones."""

    tenant: TenantId
    meeting: MeetingId
    participant: ParticipantId
    seat: Seat


class Cleaning:
    """Reads for the sweep, and deletions. Durations are seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ghosts(self, unused: float, lost: float) -> list[SeatKey]:
        """Note which seats have a transport; return those that had none long enough to be given up."""
        await self._database.write(NOTE_IDLE)
        await self._database.write(NOTE_USED)
        rows = await self._database.rows(GHOSTS, unused, lost)
        return [SeatKey(row["tenant"], row["meeting"], row["participant"], row["seat"]) for row in rows]

    async def unconfirmed(self, lease: float) -> list[SeatKey]:
        """Return below which seats a media server that can be asked has not confirmed that nothing is left."""
        rows = await self._database.rows(UNCONFIRMED, lease)
        return [SeatKey(row["tenant"], row["meeting"], row["participant"], row["below"]) for row in rows]

    async def empty(self, empty_for: float) -> list[tuple[TenantId, MeetingId]]:
        """Return the meetings that have been empty that long."""
        return [(row["tenant"], row["meeting"]) for row in await self._database.rows(EMPTY, empty_for)]

    async def forget(self, steps_kept: float, placements_kept: float, meetings_kept: float) -> bool:
        """Delete what is past its time, some at a time; return whether nothing was left. What fails does not stop the other kinds."""
        kinds = (
            (FORGET_STEPS, steps_kept),
            (FORGET_SEATS, steps_kept),
            (FORGET_PLACEMENTS, placements_kept),
            (FORGET_EVENTS, steps_kept),
            (FORGET_MEETINGS, meetings_kept),
        )
        everything, failure = True, None
        for sql, kept in kinds:
            try:
                everything &= await self._forget(sql, kept)
            except KendraError as error:
                failure = error
        if failure is not None:
            raise failure
        return everything

    async def _forget(self, sql: str, kept: float) -> bool:
        """Delete one kind of rows; return whether nothing was left."""
        for _ in range(_STATEMENTS):
            row = await self._database.write(sql, kept, AT_ONCE)
            assert row is not None, "a count is one row"
            if row[0] < AT_ONCE:
                return True
        return False
