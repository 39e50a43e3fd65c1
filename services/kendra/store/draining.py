"""Servers that are being emptied: which, how far they are, what is still on them, and the routers that a move left forwarding."""

from dataclasses import dataclass

from contracts.failure import MediaServerNotFound
from contracts.ids import MediaServerId
from services.bus import Call
from services.kendra.store.database import Database
from services.kendra.store.moving import Found
from services.kendra.store.resolving import place_of

DRAIN = """
    update bookings set draining = true, drained_by = clock_timestamp() + make_interval(secs => $2) where server = $1 returning server
"""
UNDRAIN = "update bookings set draining = false, drained_by = null where server = $1 returning server"

DRAINING = """
    select b.server, extract(epoch from b.drained_by - clock_timestamp())::float8 as remaining, kept.leaving,
        extract(epoch from clock_timestamp() - kept.begun)::float8 as since,
        (select count(*) from meetings m where m.server = b.server and m.empty_since is null) as seated
    from bookings b, lateral (
        select count(a.router) filter (where m.keep_until > clock_timestamp()) as leaving, max(m.placed_at) as begun
        from meetings m left join allocations a on a.tenant = m.tenant and a.meeting = m.meeting
            and a.epoch = m.kept_epoch and a.server = m.kept_server and a.boot = m.kept_boot
        where m.kept_server = b.server
    ) kept
    where b.draining
"""

THERE = """
    select m.tenant, m.meeting, m.epoch, m.participants, m.producers, m.server, m.boot, a.router, true as leased, false as superseded,
        m.empty_since is null as seated
    from meetings m
    join media_servers s on s.server = m.server and s.boot = m.boot and s.renewed_at + make_interval(secs => $2) > clock_timestamp()
        and not exists (select from media_servers n where n.server = s.server and n.started_at > s.started_at)
    left join allocations a on a.tenant = m.tenant and a.meeting = m.meeting and a.epoch = m.epoch and a.server = m.server and a.boot = m.boot
    where m.server = $1
    order by m.empty_since is null, m.tenant, m.meeting limit $3
"""

FORGET_KEPT = """
    update meetings m set kept_server = null, kept_boot = null, kept_epoch = null, keep_until = null from (
        select k.tenant, k.meeting from meetings k
        where k.kept_server is not null and (k.keep_until < clock_timestamp() or not exists (
            select from allocations a where a.tenant = k.tenant and a.meeting = k.meeting
            and a.epoch = k.kept_epoch and a.server = k.kept_server and a.boot = k.kept_boot
        ))
        for update of k skip locked
    ) gone
    where m.tenant = gone.tenant and m.meeting = gone.meeting
"""

KEEP_NO_LONGER = """
    update meetings set kept_server = null, kept_boot = null, kept_epoch = null, keep_until = null
    where tenant = $1 and meeting = $2 and kept_server is not null
"""

_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the draining of a server is. Times are seconds."""

    server: MediaServerId
    remaining: float
    """Until everything shall have been moved; negative when that time is over."""
    seated: int
    """Meetings that are still there and have somebody in them."""
    leaving: int
    """Routers that were moved away from and still forward."""
    since: float | None
    """Since the last such move began; None when none of them is left."""


class Draining:
    """What the rounds of draining read and write. `lease` is how long a renewal of a media server is good for, seconds."""

    def __init__(self, database: Database, lease: float) -> None:
        self._database = database
        self._lease = lease

    async def drain(self, server: MediaServerId, within: float) -> None:
        """Place nothing more on a server, and have it emptied within so many seconds. Raises MediaServerNotFound."""
        if await self._database.write(DRAIN, server, within) is None:
            raise MediaServerNotFound

    async def undrain(self, server: MediaServerId) -> None:
        """Place meetings on a server again. Raises MediaServerNotFound."""
        if await self._database.write(UNDRAIN, server) is None:
            raise MediaServerNotFound

    async def keep_no_longer(self, call: Call) -> None:
        """Have the router that a move left close at its server's next heartbeat."""
        await self._database.write(KEEP_NO_LONGER, call.tenant, call.meeting)

    async def servers(self) -> list[Progress]:
        """Return the servers that are being drained, after forgetting routers that are kept no longer."""
        await self._database.write(FORGET_KEPT)
        return [Progress(**dict(row)) for row in await self._database.rows(DRAINING)]

    async def there(self, server: MediaServerId) -> list[Found]:
        """Return the meetings on a server that holds its lease, always in the same order: first those that nobody sits in."""
        rows = await self._database.rows(THERE, server, self._lease, _MOST)
        return [Found(place_of(row["tenant"], row["meeting"], row), row["seated"]) for row in rows]
