"""What the sweep looks for: seats without a transport, closings nobody confirmed, empty meetings, rows past their time."""

from dataclasses import dataclass

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
    from participants p join meetings m on m.tenant = p.tenant and m.meeting = p.meeting and m.server is not null
    where p.closed_below < p.seat or (p.left_at is not null and p.closed_below = p.seat)
    group by p.tenant, p.meeting, p.participant
    having max(coalesce(p.left_at, p.joined_at)) < clock_timestamp() - interval '1 second'
    limit 200
"""

EMPTY = """
    select tenant, meeting from meetings
    where empty_since + make_interval(secs => $1) < clock_timestamp() and ended_at is null limit 200
"""

FORGET_STEPS = "delete from steps where at < clock_timestamp() - make_interval(secs => $1)"
FORGET_PLACEMENTS = "delete from placements where at < clock_timestamp() - make_interval(secs => $1)"
FORGET_SEATS = """
    with gone as (
        select tenant, meeting, participant, instance from participants
        where left_at < clock_timestamp() - make_interval(secs => $1) and closed_below > seat for update skip locked
    )
    delete from participants p using gone g
    where p.tenant = g.tenant and p.meeting = g.meeting and p.participant = g.participant and p.instance = g.instance
"""
FORGET_EVENTS = """
    select forget_events(tenant, meeting, up_to) from (
        select tenant, meeting, max(sequence) as up_to from events
        where at < clock_timestamp() - make_interval(secs => $1) group by tenant, meeting order by tenant, meeting limit 100
    ) old
"""
FORGET_MEETINGS = """
    select forget_meeting(tenant, meeting, make_interval(secs => $1)) from (
        select tenant, meeting from meetings
        where ended_at < clock_timestamp() - make_interval(secs => $1) order by tenant, meeting limit 100
    ) old
"""


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

    async def unconfirmed(self) -> list[SeatKey]:
        """Return below which seats a media server has not confirmed that nothing is left."""
        rows = await self._database.rows(UNCONFIRMED)
        return [SeatKey(row["tenant"], row["meeting"], row["participant"], row["below"]) for row in rows]

    async def empty(self, empty_for: float) -> list[tuple[TenantId, MeetingId]]:
        """Return the meetings that have been empty that long."""
        return [(row["tenant"], row["meeting"]) for row in await self._database.rows(EMPTY, empty_for)]

    async def forget(self, steps_kept: float, placements_kept: float, meetings_kept: float) -> None:
        """Delete what is past its time; meetings that ended and their last rows 100 at once."""
        await self._database.write(FORGET_STEPS, steps_kept)
        await self._database.write(FORGET_SEATS, steps_kept)
        await self._database.write(FORGET_PLACEMENTS, placements_kept)
        await self._database.write(FORGET_EVENTS, steps_kept)
        await self._database.write(FORGET_MEETINGS, meetings_kept)
