"""Resolving: where the meeting lives, whether its server can be asked, and who asks. One round trip for every flow."""

from contracts.actor import Grant
from contracts.failure import Forbidden, MeetingNotFound, ParticipantNotFound, StaleInstance
from contracts.ids import (
    BootId,
    InstanceId,
    MediaServerId,
    MeetingId,
    ParticipantId,
    RouterId,
    Seat,
    TenantId,
    TransportId,
)
from services.bus import Call
from services.kendra.place import Lease, Place, Seated
from services.kendra.store.database import Database, Row

RESOLVE = """
    select m.epoch, m.participants, m.producers, m.server, m.boot, a.router,
        s.renewed_at + make_interval(secs => $5) > clock_timestamp() as leased,
        exists (select from media_servers n where n.server = m.server and n.started_at > s.started_at) as superseded,
        p.participant, p.instance, p.seat,
        array(
            select t.id from transports t
            where t.tenant = m.tenant and t.meeting = m.meeting and t.epoch = m.epoch
            and t.participant = p.participant and t.direction = $4
        ) as transports
    from meetings m
    left join allocations a on a.tenant = m.tenant and a.meeting = m.meeting and a.epoch = m.epoch and a.server = m.server and a.boot = m.boot
    left join media_servers s on s.server = m.server and s.boot = m.boot
    left join participants p on p.tenant = m.tenant and p.meeting = m.meeting and p.participant = $3 and p.left_at is null
    where m.tenant = $1 and m.meeting = $2 and m.ended_at is null
"""


class Resolving:
    """Reads of one meeting. `lease` is how long a renewal of a media server is good for, seconds."""

    def __init__(self, database: Database, lease: float) -> None:
        self._database = database
        self._lease = lease

    async def place(self, call: Call) -> Place:
        """Return where the call's meeting lives. Raises MeetingNotFound."""
        row = await self._resolve(call, None, None)
        return place_of(call.tenant, call.meeting, row)

    async def found(self, call: Call) -> Place | None:
        """Return the same, or None for a meeting that does not run."""
        row = await self._database.row(RESOLVE, call.tenant, call.meeting, None, None, self._lease)
        return None if row is None else place_of(call.tenant, call.meeting, row)

    async def seat(self, call: Call) -> Seated:
        """Return the caller's seat, for an admin the current seat of the participant.

        Raises MeetingNotFound, StaleInstance, ParticipantNotFound (an admin names who is not seated), Forbidden (no seat was proven).
        """
        return _seated(call, await self._resolve(call, call.actor.participant, None))

    async def seat_and_transports(self, call: Call, direction: str) -> tuple[Seated, list[TransportId]]:
        """Return the same, and the ids of the participant's transports of that direction."""
        row = await self._resolve(call, call.actor.participant, direction)
        return _seated(call, row), [TransportId(one) for one in row["transports"]]

    async def _resolve(self, call: Call, participant: ParticipantId | None, direction: str | None) -> Row:
        row = await self._database.row(RESOLVE, call.tenant, call.meeting, participant, direction, self._lease)
        if row is None:
            raise MeetingNotFound
        return row


def place_of(tenant: TenantId, meeting: MeetingId, row: Row) -> Place:
    """Return the place that a row of RESOLVE tells."""
    held = row["leased"]
    lease = Lease.GONE if held is None or row["superseded"] else Lease.HELD if held else Lease.OVER
    server, boot, router = row["server"], row["boot"], row["router"]
    return Place(
        tenant=tenant,
        meeting=meeting,
        epoch=row["epoch"],
        participants=row["participants"],
        producers=row["producers"],
        server=None if server is None else MediaServerId(server),
        boot=None if boot is None else BootId(boot),
        router=None if router is None else RouterId(router),
        lease=lease,
    )


def proven(call: Call, seat: int | None) -> None:
    """Check that the caller may act in that seat (None: nobody is seated): it is the own one, or the caller is an admin."""
    own = call.actor.seat
    if own is not None:
        if seat != own:
            raise StaleInstance
    elif Grant.ADMIN not in call.actor.grants:
        raise Forbidden("this takes a participant token")
    elif seat is None:
        raise ParticipantNotFound


def may_read(call: Call, seat: int | None) -> None:
    """Check that the caller may see the meeting: an admin, or who holds the token's seat."""
    if call.actor.seat is not None:
        proven(call, seat)
    elif Grant.ADMIN not in call.actor.grants:
        raise Forbidden("this takes a participant token")


def _seated(call: Call, row: Row) -> Seated:
    proven(call, row["seat"])
    return Seated(
        place=place_of(call.tenant, call.meeting, row),
        participant=ParticipantId(row["participant"]),
        instance=InstanceId(row["instance"]),
        seat=Seat(row["seat"]),
    )
