"""A meeting to which things happen at random, and what the tables said of it after each: what its history is held against."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from json import loads
from typing import Any

import psycopg

from contracts.actor import Actor
from contracts.create_producer import CreateProducer
from contracts.end_meeting import EndMeeting
from contracts.failure import KendraError
from contracts.ids import InstanceId, MediaServerId, ParticipantId, ProducerId, TransportId
from contracts.join_meeting import JoinMeeting
from contracts.leave_meeting import KickParticipant, LeaveMeeting
from contracts.meeting import Capacity, Direction
from contracts.message import Command
from contracts.producers import CloseProducer, PauseProducer, ResumeProducer
from contracts.recreate_transport import RecreateTransport
from contracts.rtp import Kind
from contracts.transports import CloseTransport
from services.cli.history.past import read
from services.cli.stack.errors import CannotRun
from services.kendra.meeting import Meeting, Participant, Producer, from_json
from services.kendra.store.forgetting import Kept
from tests.services.kendra_peers import INVITED, TENANT, Stage, holder
from tests.services.media_server_peers import opus

LONG = 86_400.0
_BETWEEN_LOOKS = 0.004
"""Seconds. What follows from a step (a seat is over, then what hung from it closes) is seen half done, too."""
MEETING = (
    "select epoch, server, participants, producers, ended_at is not null as ended from meetings where meeting = $1"
)
SEATED = "select participant, seat, display_name from participants where meeting = $1 and left_at is null"
SENT = """
    select s.id, s.participant, s.kind, s.paused, s.app_data from producers s
    join participants p on p.meeting = s.meeting and p.participant = s.participant and p.seat = s.seat and p.left_at is null
    where s.meeting = $1 and s.epoch = $2
"""


@dataclass(frozen=True, slots=True)
class Instant:
    """What the tables said at a time of the database's clock, at which nothing was being appended."""

    at: datetime
    meeting: Meeting


@dataclass
class Walk:
    """One meeting. What is refused (a seat that is over, a meeting that ended) is part of it."""

    stage: Stage
    id: str
    people: dict[str, Actor] = field(default_factory=dict)
    transports: dict[str, TransportId] = field(default_factory=dict)
    sent: dict[str, list[ProducerId]] = field(default_factory=dict)
    instants: list[Instant] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    numbers: int = 0

    async def happen(self, steps: Sequence[tuple[Any, ...]]) -> None:
        """Have these happen at once, each to somebody else; look meanwhile and afterwards."""
        known = self.instants[-1].meeting.sequence if self.instants else 0
        happening = asyncio.gather(*(self._happen(*step) for step in steps))
        while not happening.done():
            self.instants.append(await self.look())
            await asyncio.wait({happening}, timeout=_BETWEEN_LOOKS)
        await happening
        self.instants.append(await self.look())
        self.seen.update(type for sequence, type in await self.stage.events(self.id) if sequence > known)

    def seen_at(self, part: float) -> datetime:
        """Return the time of the look after that part (0 to 1) of all looks so far."""
        return self.instants[min(int(part * len(self.instants)), len(self.instants) - 1)].at

    async def look(self) -> Instant:
        """Read the tables under the meeting's lock."""
        async with self.stage.rows.acquire() as on, on.transaction():
            head = await on.fetchval("select head from event_heads where meeting = $1 for update", self.id)
            row = await on.fetchrow(MEETING, self.id)
            seated = await on.fetch(SEATED, self.id)
            sent = await on.fetch(SENT, self.id, row["epoch"])
            kept = await on.fetchval("select meeting_state($1, $2)", TENANT, self.id)
            at = await on.fetchval("select clock_timestamp()")
        meeting = Meeting(
            sequence=head,
            epoch=row["epoch"],
            server=row["server"],
            capacity=Capacity(participants=row["participants"], producers=row["producers"]),
            ended=row["ended"],
            participants={one["participant"]: Participant(one["seat"], one["display_name"]) for one in seated},
            producers={
                one["id"]: Producer(one["participant"], one["kind"], one["paused"], loads(one["app_data"]))
                for one in sent
            },
        )
        assert from_json(kept) == meeting
        return Instant(at, meeting)

    async def forget_before(self, at: datetime) -> None:
        """Have kendra forget what happened before then."""
        ago = await self.stage.rows.fetchval("select extract(epoch from clock_timestamp() - $1::timestamptz)", at)
        kept = Kept(steps=LONG, placements=LONG, events=float(ago), meetings=LONG)
        await self.stage.kendras[0].world.store.forgetting.everything(kept)

    async def pasts(self, *times: datetime) -> list[Meeting | CannotRun]:
        """Return what the history says of these times, or why it says nothing."""

        def reading(connection: psycopg.Connection, at: datetime) -> Meeting | CannotRun:
            try:
                return read(connection, self.id, at).meeting
            except CannotRun as reason:
                return reason

        def readings() -> list[Meeting | CannotRun]:
            with psycopg.connect(self.stage.database.url) as connection:
                return [reading(connection, at) for at in times]

        return await asyncio.to_thread(readings)

    async def _happen(self, what: str, *how: Any) -> None:
        with suppress(KendraError):
            await getattr(self, what)(*how)

    async def create(self, participants: int) -> None:
        await self.stage.create(self.id, participants, 4)

    async def end(self) -> None:
        await self._ask(EndMeeting())

    async def join(self, who: str, instance: str, name: str | None) -> None:
        order = JoinMeeting(participant_id=ParticipantId(who), instance_id=InstanceId(instance), display_name=name)
        actor = Actor(grants=INVITED.grants, participant=ParticipantId(who))
        self.people[who] = holder(await self.stage.ask(order, self.id, actor))
        await self.transport(who)

    async def leave(self, who: str) -> None:
        await self._ask(LeaveMeeting(), who)

    async def kick(self, who: str) -> None:
        await self._ask(KickParticipant(participant_id=ParticipantId(who)))

    async def transport(self, who: str) -> None:
        made = await self.stage.ask(RecreateTransport(direction=Direction.SEND), self.id, self._actor(who))
        self.transports[who] = made.id

    async def close_transport(self, who: str) -> None:
        await self._ask(CloseTransport(transport_id=self.transports.get(who, TransportId("none"))), who)

    async def produce(self, who: str, paused: bool) -> None:
        try:
            await self._produce(who, paused)
        except KendraError:  # the meeting moved, or the transport closed: as a client does
            await self.transport(who)
            await self._produce(who, paused)

    async def _produce(self, who: str, paused: bool) -> None:
        self.numbers += 1
        order = CreateProducer(
            transport_id=self.transports.get(who, TransportId("none")),
            kind=Kind.AUDIO,
            rtp_parameters=opus(self.numbers),
            paused=paused,
            app_data={"number": self.numbers},
        )
        made = await self.stage.ask(order, self.id, self._actor(who))
        self.sent.setdefault(who, []).append(made.id)

    async def pause(self, who: str) -> None:
        await self._ask(PauseProducer(producer_id=self._newest(who)), who)

    async def resume(self, who: str) -> None:
        await self._ask(ResumeProducer(producer_id=self._newest(who)), who)

    async def close(self, who: str) -> None:
        await self._ask(CloseProducer(producer_id=self._newest(who)), who)

    async def move(self, refuse_all: bool) -> None:
        """Have the meeting's router be lost: it moves, or waits for a place when every server refuses it."""
        world = self.stage.kendras[0].world
        place = await world.store.resolving.place(self.stage.call(self.id))
        servers = [MediaServerId(name) for name in ("ms1", "ms2") if refuse_all or name == place.server]
        await world.store.meetings.move(place, dict.fromkeys(servers, "for a test"), lost=place.router)

    def _actor(self, who: str) -> Actor:
        return self.people.get(who, Actor(grants=INVITED.grants, participant=ParticipantId(who)))

    def _newest(self, who: str) -> ProducerId:
        return [ProducerId("none"), *self.sent.get(who, [])][-1]

    async def _ask(self, order: Command[Any], who: str | None = None) -> None:
        await (self.stage.ask(order, self.id) if who is None else self.stage.ask(order, self.id, self._actor(who)))
