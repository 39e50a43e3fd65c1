"""A gateway and a kendra as real processes, without a media server: a test starts those itself, with the faults that it wants."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar
from uuid import UUID, uuid4

from contracts.actor import Actor, Grant
from contracts.end_meeting import EndMeeting
from contracts.failure import MeetingNotFound
from contracts.ids import CommandId, InstanceId, MeetingId, ParticipantId, Seat, TenantId
from contracts.join_meeting import JoinMeeting, MeetingJoined
from contracts.message import Command, Reply
from services.bus import KENDRA_COMMANDS, Bus, Call
from services.media_server.settings import Settings
from services.testing.eventually import eventually
from services.testing.fake_media_server import FakeMediaServer
from services.testing.faults import AnyFault
from services.testing.session import Broker, Session
from services.testing.system import TENANT, System, running_system

R = TypeVar("R", bound=Reply)

LEASE, HEARTBEAT = 2.0, 0.5
"""Shorter than an operator's, so that a dead server is given up soon; seconds."""
ADMIN = Actor(grants=tuple(grant for grant in Grant if grant is not Grant.OPERATOR))
POLICY = "# The machine is busy with the tests: only bookings count.\n[weights]\ncpu = 0\negress = 0\n"


class WrongLoop(Exception):
    """The cluster lives in another event loop than the test; set asyncio_default_test_loop_scope = session in the configuration of pytest."""

    def __init__(self) -> None:
        super().__init__(" ".join((WrongLoop.__doc__ or "").split()))


@dataclass
class Cluster:
    """A running cluster. Leave it as you found it: the media servers and meetings of a test end with the test."""

    system: System
    bus: Bus
    loop: asyncio.AbstractEventLoop
    servers: list[FakeMediaServer] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The gateway."""
        return self.system.url

    @property
    def broker(self) -> Broker:
        """The vhost that all of it talks in."""
        return self.system.broker

    def token(self, meeting: str = "*", *, sub: str | None = None) -> str:
        """Return an access token for the gateway, with every grant."""
        return self.system.token(meeting=meeting, sub=sub)

    async def ask(
        self, order: Command[R], meeting: str, *, actor: Actor = ADMIN, id: UUID | None = None, seconds: float = 4.5
    ) -> R:
        """Ask kendra over its queue. Raises what it answers (contracts/failure.py). The same `id` is the same command."""
        self._check()
        call = Call.begin(TenantId(TENANT), MeetingId(meeting), seconds, actor=actor)
        return await self.bus.ask(KENDRA_COMMANDS, order, replace(call, command_id=CommandId(id or uuid4())))

    async def join(self, meeting: str, participant: str) -> tuple[MeetingJoined, Actor]:
        """Seat a participant; return the answer, and who asks in that seat."""
        seated = JoinMeeting(participant_id=ParticipantId(participant), instance_id=InstanceId(f"{participant}-1"))
        joined = await self.ask(seated, meeting)
        actor = Actor(
            grants=(Grant.JOIN, Grant.PRODUCE, Grant.CONSUME),
            participant=seated.participant_id,
            instance=seated.instance_id,
            seat=Seat(joined.seat),
        )
        return joined, actor

    async def events(self, meeting: str) -> list[str]:
        """Return the types of a meeting's events, in their order."""
        self._check()
        rows = await self.system.postgres.fetch(
            "select type from events where tenant = $1 and meeting = $2 order by sequence", TENANT, meeting
        )
        return [row["type"] for row in rows]

    async def told(self, meeting: str, type: str, within: float = 10.0) -> None:
        """Wait until a meeting's log has an event of that type. Raises AssertionError."""

        async def there() -> bool:
            found = await self.events(meeting)
            assert type in found, f"{type} is not in {found}"
            return True

        await eventually(there, within=within)

    async def fake_media_server(
        self, name: str, *, capacity: int = 1024, faults: Sequence[AnyFault] = ()
    ) -> FakeMediaServer:
        """Start a media server without media; returns when meetings can be placed on it."""
        self._check()
        system = self.system
        settings = Settings(
            server=name,
            capacity=capacity,
            postgres_url=system.database.of.get("media", system.database.url),
            amqp_url=system.broker.of["media"],
            plane="silent",
            media_port=0,
            lease=LEASE,
            heartbeat=HEARTBEAT,
        )
        server = await FakeMediaServer.start(settings, faults)
        self.servers.append(server)
        return server

    async def clear(self) -> None:
        """End every meeting and stop every media server."""
        rows = await self.system.postgres.fetch("select meeting from meetings where ended_at is null")
        for row in rows:
            try:
                await self.ask(EndMeeting(), row["meeting"])
            except MeetingNotFound:
                continue
        servers, self.servers = self.servers, []
        await asyncio.gather(*(server.stop() for server in servers))

    def _check(self) -> None:
        if asyncio.get_running_loop() is not self.loop:
            raise WrongLoop


@asynccontextmanager
async def running_cluster(
    session: Session, broker: Broker, settings: Mapping[str, Mapping[str, str]] | None = None
) -> AsyncIterator[Cluster]:
    """Start a gateway and a kendra in a vhost. `settings`: more DOORDARSHAN_* variables, by kind of process."""
    policy = session.run.path / "policy.toml"
    policy.write_text(POLICY)
    own = {"kendra": {"DOORDARSHAN_LEASE": f"{LEASE:g}", "DOORDARSHAN_POLICY": str(policy)}}
    more = settings or {}
    wanted = {kind: {**own.get(kind, {}), **more.get(kind, {})} for kind in {*own, *more}}
    async with running_system(session, media_servers=0, settings=wanted, broker=broker) as system:
        bus = Bus(broker.of["tool"], "tool", uuid4().hex[:8])
        await bus.start()
        try:
            yield Cluster(system, bus, asyncio.get_running_loop())
        finally:
            await bus.stop()
