"""What the sweep looks for: seats that nobody uses, closings nobody confirmed, empty meetings, boots and bookings that nobody has.

Somebody uses a seat that has a transport whose peer is known (the media server misses a peer that is gone), or one that still waits for
its peer while somebody is seen in the seat: a page that is alone in a meeting has nothing to connect a transport for.
"""

from dataclasses import dataclass

from contracts.ids import MeetingId, ParticipantId, Seat, TenantId
from services.kendra.store.database import Database
from services.kendra.store.servers import BURY

USED = """
    exists (
        select from transports t where t.tenant = m.tenant and t.meeting = m.meeting and t.epoch = m.epoch
        and t.participant = p.participant and t.seat = p.seat
        and (t.connected or greatest(p.seen_at, p.joined_at) > now() - make_interval(secs => $1))
    )
"""

NOTE_IDLE = f"""
    with idle as (
        select p.tenant, p.meeting, p.participant, p.instance
        from participants p join meetings m on m.tenant = p.tenant and m.meeting = p.meeting and m.ended_at is null
        where p.left_at is null and p.idle_since is null and not {USED}
        for update of p skip locked
    )
    update participants p set idle_since = now() from idle i
    where p.tenant = i.tenant and p.meeting = i.meeting and p.participant = i.participant and p.instance = i.instance
"""  # noqa: S608

NOTE_USED = f"""
    with used as (
        select p.tenant, p.meeting, p.participant, p.instance
        from participants p join meetings m on m.tenant = p.tenant and m.meeting = p.meeting and m.ended_at is null
        where p.left_at is null and p.idle_since is not null and {USED}
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

SILENT = "select server, boot from media_servers where renewed_at < now() - make_interval(secs => $1) order by renewed_at limit 10"

ORPHANS = """
    select a.server, a.boot from (select distinct server, boot from allocations) a
    where not exists (select from media_servers s where s.server = a.server and s.boot = a.boot) limit 10
"""

NOTE_UNKNOWN = """
    update bookings b set unknown_since = case when found.known then null else now() end
    from (select o.server, exists (select from media_servers s where s.server = o.server) as known from bookings o) found
    where found.server = b.server and found.known = (b.unknown_since is not null)
"""

FORGET_BOOKINGS = """
    with gone as (
        delete from bookings b where booked = 0 and not exists (select from media_servers s where s.server = b.server)
        and (not draining or unknown_since < now() - make_interval(secs => $1))
        returning 1
    )
    select count(*) from gone
"""


@dataclass(frozen=True, slots=True)
class SeatKey:
    """A seat, or with `seat` as a bound all lower ones."""

    tenant: TenantId
    meeting: MeetingId
    participant: ParticipantId
    seat: Seat


class Cleaning:
    """Reads for the sweep, and what it clears. Durations are seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ghosts(self, unused: float, lost: float, unseen: float) -> list[SeatKey]:
        """Note which seats are used; return those that were not long enough to be given up."""
        await self._database.write(NOTE_IDLE, unseen)
        await self._database.write(NOTE_USED, unseen)
        rows = await self._database.rows(GHOSTS, unused, lost)
        return [SeatKey(row["tenant"], row["meeting"], row["participant"], row["seat"]) for row in rows]

    async def unconfirmed(self, lease: float) -> list[SeatKey]:
        """Return below which seats a media server that can be asked has not confirmed that nothing is left."""
        rows = await self._database.rows(UNCONFIRMED, lease)
        return [SeatKey(row["tenant"], row["meeting"], row["participant"], row["below"]) for row in rows]

    async def empty(self, empty_for: float) -> list[tuple[TenantId, MeetingId]]:
        """Return the meetings that have been empty that long."""
        return [(row["tenant"], row["meeting"]) for row in await self._database.rows(EMPTY, empty_for)]

    async def bury_silent(self, silent_for: float) -> int:
        """Clear the rows of boots that were silent for so long; return how many there were.

        Their seats have no transport then, so they are given up, and their meetings end when nobody comes back.
        """
        return await self._bury(SILENT, silent_for, silent_for)

    async def bury_orphans(self, silent_for: float) -> int:
        """Clear what a boot that was buried already wrote all the same: it woke up late, before it knew. Return how many there were."""
        return await self._bury(ORPHANS, silent_for)

    async def forget_bookings(self, draining_kept: float) -> int:
        """Forget the bookings of servers that are no more; that one was draining is remembered for a while, for it may come back."""
        await self._database.write(NOTE_UNKNOWN)
        row = await self._database.write(FORGET_BOOKINGS, draining_kept)
        return 0 if row is None else int(row[0])

    async def _bury(self, found: str, silent_for: float, *values: float) -> int:
        boots = await self._database.rows(found, *values)
        for row in boots:
            await self._database.write(BURY, row["server"], row["boot"], silent_for)
        return len(boots)
