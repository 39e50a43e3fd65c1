"""What the rounds of moving look for: meetings that nobody carries any more, or that nobody carries yet though somebody sits there."""

from dataclasses import dataclass

from contracts.ids import MeetingId, TenantId
from services.kendra.place import Place
from services.kendra.store.database import Database
from services.kendra.store.resolving import place_of

NOT_CARRIED = """
    select m.tenant, m.meeting, m.epoch, m.participants, m.producers, m.server, m.boot, a.router, s.leased, s.superseded,
        m.empty_since is null as seated
    from meetings m
    left join allocations a on a.tenant = m.tenant and a.meeting = m.meeting and a.epoch = m.epoch and a.server = m.server and a.boot = m.boot
    left join (
        select o.server, o.boot, o.renewed_at + make_interval(secs => $1) > clock_timestamp() as leased,
            exists (select from media_servers n where n.server = o.server and n.started_at > o.started_at) as superseded
        from media_servers o
    ) s on s.server = m.server and s.boot = m.boot
    where m.ended_at is null and (
        m.server is not null and (s.leased is distinct from true or s.superseded)
        or m.empty_since is null and (m.server is null or a.router is null and m.placed_at + make_interval(secs => $2) < clock_timestamp())
    )
    order by m.empty_since is not null, random() limit $3
"""

NEXT_OVER = """
    select extract(epoch from min(renewed_at) + make_interval(secs => $1) - clock_timestamp())::float8
    from media_servers where renewed_at + make_interval(secs => $1) > clock_timestamp()
"""

_BEING_PLACED = 2.0
"""Whoever placed a meeting has its router made within this many seconds, or died."""
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Found:
    """A meeting that a round found. `seated`: somebody sits in it."""

    place: Place
    seated: bool

    @property
    def key(self) -> tuple[TenantId, MeetingId]:
        """What names the meeting."""
        return self.place.tenant, self.place.meeting


class Moving:
    """Reads over all meetings. `lease` is how long a renewal of a media server is good for, seconds."""

    def __init__(self, database: Database, lease: float) -> None:
        self._database = database
        self._lease = lease

    async def not_carried(self) -> list[Found]:
        """Return meetings whose server looks dead, and those with somebody seated but without a place or a router.

        First those that somebody waits in, otherwise in any order: two kendras that look at once begin with different ones.
        """
        rows = await self._database.rows(NOT_CARRIED, self._lease, _BEING_PLACED, _AT_ONCE)
        return [Found(place_of(row["tenant"], row["meeting"], row), row["seated"]) for row in rows]

    async def next_over(self) -> float | None:
        """Return in how many seconds the next lease will be over unless it is renewed; None when none holds."""
        row = await self._database.row(NEXT_OVER, self._lease)
        return None if row is None else row[0]
