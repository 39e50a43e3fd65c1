"""Details: what a meeting looks like, in one statement, so that lists and event number are of one snapshot; and why it is where it is."""

from pydantic import TypeAdapter

from contracts.details import Decision, KeptRouter, MeetingDetails
from contracts.failure import MeetingNotFound, PlacementNotFound
from contracts.ids import Epoch, MediaServerId, RouterId
from contracts.meeting import Capacity, ConsumerView, MeetingState, ProducerView, TransportView
from services.bus import Call
from services.kendra.store.database import Database, Row
from services.kendra.store.resolving import may_read
from services.kendra.store.seats import PARTICIPANTS, PRODUCERS

DETAILS = """
    select m.epoch, m.participants, m.producers, m.server, a.router, h.head, p.seat,
        seated_json(m.tenant, m.meeting) as seated, producers_json(m.tenant, m.meeting, m.epoch) as sent,
        (select coalesce(json_agg(json_build_object('id', t.id, 'direction', t.direction) order by t.created_at, t.id), '[]')
            from transports t where t.tenant = m.tenant and t.meeting = m.meeting and t.epoch = m.epoch
            and t.participant = p.participant and t.seat = p.seat) as own_transports,
        (select coalesce(json_agg(json_build_object('id', c.id, 'producerId', c.producer, 'kind', c.kind, 'paused', c.paused)
            order by c.created_at, c.id), '[]')
            from consumers c where c.tenant = m.tenant and c.meeting = m.meeting and c.epoch = m.epoch
            and c.participant = p.participant and c.seat = p.seat) as own_consumers
    from meetings m
    join event_heads h on h.tenant = m.tenant and h.meeting = m.meeting
    left join allocations a on a.tenant = m.tenant and a.meeting = m.meeting and a.epoch = m.epoch and a.server = m.server and a.boot = m.boot
    left join participants p on p.tenant = m.tenant and p.meeting = m.meeting and p.participant = $3 and p.left_at is null
    where m.tenant = $1 and m.meeting = $2 and m.ended_at is null
"""

SENT = """
    select p.seat, producers_json(m.tenant, m.meeting, m.epoch) as sent
    from meetings m
    left join participants p on p.tenant = m.tenant and p.meeting = m.meeting and p.participant = $3 and p.left_at is null
    where m.tenant = $1 and m.meeting = $2 and m.ended_at is null
"""

EXPLAIN = """
    select decision from (
        select id, decision from placements where tenant = $1 and meeting = $2 order by id desc limit 100
    ) newest order by id
"""

KEPT = """
    select m.kept_server, m.kept_epoch, m.keep_until from meetings m
    join allocations a on a.tenant = m.tenant and a.meeting = m.meeting
        and a.epoch = m.kept_epoch and a.server = m.kept_server and a.boot = m.kept_boot
    where m.tenant = $1 and m.meeting = $2 and m.keep_until > clock_timestamp()
"""

TRANSPORTS = TypeAdapter(list[TransportView])
CONSUMERS = TypeAdapter(list[ConsumerView])


class Details:
    """Reads for people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def meeting(self, call: Call) -> MeetingDetails:
        """Return the meeting, with the caller's own things. Raises MeetingNotFound, StaleInstance, Forbidden."""
        row = await self._read(DETAILS, call)
        sent = PRODUCERS.validate_json(row["sent"])
        return MeetingDetails(
            meeting_id=call.meeting,
            state=MeetingState.UNPLACED if row["server"] is None else MeetingState.PLACED,
            epoch=Epoch(row["epoch"]),
            media_server_id=None if row["server"] is None else MediaServerId(row["server"]),
            router_id=None if row["router"] is None else RouterId(row["router"]),
            capacity=Capacity(participants=row["participants"], producers=row["producers"]),
            participants=PARTICIPANTS.validate_json(row["seated"]),
            producers=sent,
            last_event_id=row["head"],
            own_transports=TRANSPORTS.validate_json(row["own_transports"]),
            own_producers=[one for one in sent if one.participant_id == call.actor.participant],
            own_consumers=CONSUMERS.validate_json(row["own_consumers"]),
        )

    async def producers(self, call: Call) -> list[ProducerView]:
        """Return what is sent in the meeting. Raises MeetingNotFound, StaleInstance, Forbidden."""
        row = await self._read(SENT, call)
        return PRODUCERS.validate_json(row["sent"])

    async def decisions(self, call: Call) -> list[Decision]:
        """Return why the meeting went where it went: the newest 100 decisions, oldest first. Raises PlacementNotFound."""
        rows = await self._database.rows(EXPLAIN, call.tenant, call.meeting)
        if not rows:
            raise PlacementNotFound
        return [Decision.model_validate_json(row["decision"]) for row in rows]

    async def kept(self, call: Call) -> KeptRouter | None:
        """Return the router that the last move left forwarding, as long as it does."""
        row = await self._database.row(KEPT, call.tenant, call.meeting)
        if row is None:
            return None
        server, epoch = MediaServerId(row["kept_server"]), Epoch(row["kept_epoch"])
        return KeptRouter(media_server_id=server, epoch=epoch, keep_until=row["keep_until"])

    async def _read(self, sql: str, call: Call) -> Row:
        row = await self._database.row(sql, call.tenant, call.meeting, call.actor.participant)
        if row is None:
            raise MeetingNotFound
        may_read(call, row["seat"])
        return row
