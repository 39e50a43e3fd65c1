"""Seats: join, leave and kick, each one function call and one commit, and what the media server confirmed as closed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid5

from pydantic import TypeAdapter

from contracts.failure import StaleInstance
from contracts.ids import Epoch, MeetingId, ParticipantId, Seat, TenantId
from contracts.join_meeting import JoinMeeting
from contracts.live import SeenSeat
from contracts.meeting import ParticipantView, ProducerView
from services.bus import NO_BODY, Call
from services.kendra.store.database import Database

JOIN = "select * from join_meeting($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
LEAVE = "select leave_meeting($1, $2, $3, $4, $5, $6, $7, $8) as seat"
CONFIRM = "select confirm_closed($1, $2, $3, $4)"
SEEN = """
    with seen as (
        select p.tenant, p.meeting, p.participant, p.instance
        from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as s (tenant, meeting, participant, seat)
        join participants p on p.tenant = s.tenant and p.meeting = s.meeting and p.participant = s.participant
            and p.left_at is null and p.seat = s.seat
        where not exists (
            select from transports t join meetings m on m.tenant = t.tenant and m.meeting = t.meeting and m.epoch = t.epoch
            where t.tenant = p.tenant and t.meeting = p.meeting and t.participant = p.participant and t.seat = p.seat and t.connected
        )
        for update of p skip locked
    )
    update participants p set seen_at = now() from seen s
    where p.tenant = s.tenant and p.meeting = s.meeting and p.participant = s.participant and p.instance = s.instance
"""
"""Only of seats that nothing else proves to be used: the others, nearly all, are not written."""

PARTICIPANTS = TypeAdapter(list[ParticipantView])
PRODUCERS = TypeAdapter(list[ProducerView])

_GONE = UUID("6f0c3c39-8b5b-4d0e-9d3c-3b1f6f3c0a6e")
"""The namespace of the ids under which the sweep gives up seats, so that two sweeps give up one."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The seat, the meeting as of the event `head`, and below which seat the media server may have something left to close."""

    seat: Seat
    close_below: int | None
    head: int
    participants: list[ParticipantView]
    producers: list[ProducerView]


class Seats:
    """Who sits where."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def join(self, order: JoinMeeting, call: Call, epoch: Epoch, *, proven: bool) -> Joined:
        """Seat the participant's instance, and read the meeting. `proven`: the caller showed to be that participant.

        Raises StaleEpoch (the meeting is not in `epoch`), MeetingNotFound, MeetingFull, StaleInstance (the token's seat, or the one
        that this very command took, was given up), Forbidden (somebody sits there and nothing was proven), IdempotencyKeyReused.
        """
        row = await self._database.write(
            JOIN,
            call.tenant,
            call.meeting,
            epoch,
            order.participant_id,
            order.instance_id,
            order.display_name,
            call.command_id,
            call.body_hash,
            proven,
            call.actor.seat,
        )
        assert row is not None, "join_meeting returns one row"
        return Joined(
            seat=Seat(row["seat"]),
            close_below=row["close_below"],
            head=row["head"],
            participants=PARTICIPANTS.validate_json(row["seated"]),
            producers=PRODUCERS.validate_json(row["sent"]),
        )

    async def leave(self, call: Call, participant: ParticipantId, seat: Seat | None) -> Seat:
        """Give up that seat (None: the current one); return it.

        Raises StaleInstance, ParticipantNotFound, MeetingNotFound, IdempotencyKeyReused.
        """
        return await self._leave(call, participant, seat, "left")

    async def kick(self, call: Call, participant: ParticipantId) -> Seat:
        """Take the participant's seat, whichever it is; return it. Raises ParticipantNotFound, MeetingNotFound."""
        return await self._leave(call, participant, None, "kicked")

    async def clear(
        self, tenant: TenantId, meeting: MeetingId, participant: ParticipantId, seat: Seat, unseen: float
    ) -> bool:
        """Give up a seat that nobody uses, nor was seen in for `unseen` seconds; return whether that was so.

        Raises StaleInstance, MeetingNotFound.
        """
        command = uuid5(_GONE, f"{tenant}:{meeting}:{participant}:{seat}")
        order = (tenant, meeting, participant, seat, "gone", command, NO_BODY, timedelta(seconds=unseen))
        row = await self._database.write(LEAVE, *order)
        return row is not None and row["seat"] is not None

    async def seen(self, seats: Sequence[SeenSeat]) -> None:
        """Keep that somebody follows the meetings' events in these seats. Those that are over are passed over."""
        rows = [(one.tenant, one.meeting_id, one.participant_id, one.seat) for one in seats]
        await self._database.write(SEEN, *(list(column) for column in zip(*rows, strict=True)))

    async def confirm_closed(self, call: Call, participant: ParticipantId, below: int) -> None:
        """Keep that the media server has nothing of the participant below that seat."""
        await self._database.write(CONFIRM, call.tenant, call.meeting, participant, below)

    async def _leave(self, call: Call, participant: ParticipantId, seat: Seat | None, reason: str) -> Seat:
        row = await self._database.write(
            LEAVE, call.tenant, call.meeting, participant, seat, reason, call.command_id, call.body_hash, None
        )
        if row is None or row["seat"] is None:
            raise StaleInstance
        return Seat(row["seat"])
