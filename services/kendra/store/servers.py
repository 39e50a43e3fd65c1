"""Media servers as kendra sees them: their rows (another's), and the bookings on them (kendra's own)."""

from datetime import UTC, datetime

from contracts.ids import BootId, MediaServerId
from contracts.servers import MediaServerView
from services.kendra.placement import Server
from services.kendra.store.database import Database, Row

CANDIDATES = """
    select distinct on (s.server) s.server, s.boot, s.cpu, s.egress / s.egress_limit as egress, s.renewed_at,
        coalesce(b.capacity, s.capacity) as capacity, coalesce(b.booked, 0) as booked, coalesce(b.draining, false) as draining,
        b.server is null as unknown, clock_timestamp() as now,
        coalesce((
            select sum(m.participants * m.producers) from meetings m where m.server = s.server and m.placed_at > s.measured_at
        ), 0)::integer as fresh
    from media_servers s left join bookings b on b.server = s.server
    order by s.server, s.started_at desc
"""

SYNC = "select sync_bookings()"

LIST = """
    select distinct on (s.server) s.server, s.boot, s.address, s.cpu, s.egress / s.egress_limit as egress, s.renewed_at,
        s.renewed_at + make_interval(secs => $1) > clock_timestamp() as live,
        s.capacity, coalesce(b.booked, 0) as booked, coalesce(b.draining, false) as draining,
        b.drained_by, (select count(*) from meetings m where m.server = s.server) as meetings,
        (
            select count(*) from allocations a
            left join meetings m on m.tenant = a.tenant and m.meeting = a.meeting and m.epoch = a.epoch
                and m.server = a.server and m.boot = a.boot
            where a.server = s.server and a.boot = s.boot and m.meeting is null
        ) as leaving
    from media_servers s left join bookings b on b.server = s.server
    order by s.server, s.started_at desc
"""

BURY = "select bury_boot($1, $2, make_interval(secs => $3))"


class ServerRows:
    """Reads of media servers, and what kendra writes about them. `lease` is how long a renewal is good for, seconds."""

    def __init__(self, database: Database, lease: float) -> None:
        self._database = database
        self._lease = lease

    async def candidates(self) -> tuple[datetime, list[Server]]:
        """Return the database's time and every media server's newest boot with its load."""
        rows = await self._database.rows(CANDIDATES)
        if any(row["unknown"] for row in rows):
            await self.sync()
        now = max((row["now"] for row in rows), default=datetime.min.replace(tzinfo=UTC))
        return now, [_server(row) for row in rows]

    async def sync(self) -> None:
        """Give each media server that is known a bookings row with its capacity. Writes only what changed."""
        await self._database.write(SYNC)

    async def listed(self) -> list[MediaServerView]:
        """Return what operators are shown."""
        rows = await self._database.rows(LIST, self._lease)
        return [_view(row) for row in rows]

    async def bury(self, server: MediaServerId, boot: BootId) -> None:
        """Clear the rows of a boot that is dead by the database's clock. Raises MediaServerUnavailable when it is not."""
        await self._database.write(BURY, server, boot, self._lease)


def _server(row: Row) -> Server:
    return Server(
        name=row["server"],
        boot=row["boot"],
        capacity=row["capacity"],
        booked=row["booked"],
        draining=row["draining"],
        cpu=row["cpu"],
        egress=row["egress"],
        fresh=row["fresh"],
        renewed_at=row["renewed_at"],
    )


def _view(row: Row) -> MediaServerView:
    return MediaServerView(
        media_server_id=row["server"],
        boot_id=row["boot"],
        address=row["address"],
        live=row["live"],
        draining=row["draining"],
        capacity=row["capacity"],
        booked=row["booked"],
        cpu=row["cpu"],
        egress=row["egress"],
        drained_by=row["drained_by"],
        meetings=row["meetings"],
        leaving=row["leaving"],
        renewed_at=row["renewed_at"],
    )
