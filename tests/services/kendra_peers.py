"""What kendra's tests share: kendras on real services, an asker in the gateway's place, media servers that are a function table."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
from redis.asyncio import Redis

from contracts.actor import Actor, Grant
from contracts.create_meeting import AllocateRouter, CreateMeeting, MeetingCreated, RouterAllocated
from contracts.create_producer import CreateProducer, ProducerCreated
from contracts.end_meeting import CloseRouter
from contracts.failure import KendraError
from contracts.ids import (
    BootId,
    CommandId,
    InstanceId,
    MediaServerId,
    MeetingId,
    ParticipantId,
    ProducerId,
    RouterId,
    Seat,
    TenantId,
    TransportId,
    WorkerId,
)
from contracts.join_meeting import (
    CloseSeats,
    GetRouterCapabilities,
    JoinMeeting,
    MeetingJoined,
    RouterCapabilities,
    SeatsClosed,
)
from contracts.meeting import Capacity, Direction
from contracts.message import Command, Done, Message, Notice, Reply
from contracts.recreate_transport import RecreateTransport, ReplaceTransports, TransportRecreated
from contracts.rtp import DtlsFingerprint, DtlsParameters, IceParameters, RtpCapabilities
from contracts.transports import ConnectTransport
from services.bus import KENDRA_COMMANDS, Bus, Call, Serving, media_commands
from services.kendra.main import Kendra
from services.kendra.settings import Settings
from services.testing.session import Broker, Cache, Database
from tests.eventually import eventually

R = TypeVar("R", bound=Reply)
TENANT = TenantId("acme")
NO_ICE = IceParameters(username_fragment="u", password="p" * 22)

ALL = tuple(grant for grant in Grant if grant is not Grant.OPERATOR)
INVITED = Actor(grants=(Grant.JOIN, Grant.PRODUCE, Grant.CONSUME))
ADMIN = Actor(grants=ALL)
OPERATOR = Actor(grants=(Grant.OPERATOR,))


@dataclass
class FakeServer:
    """What a media server does to rows, without media. `asked` are the commands it was given; `refuse` maps a command to a failure."""

    rows: asyncpg.Pool
    name: MediaServerId
    boot: BootId
    asked: list[tuple[Message, Call]] = field(default_factory=list)
    refuse: dict[type[Message], KendraError] = field(default_factory=dict)
    deaf: set[type[Message]] = field(default_factory=set)
    serving: Serving["FakeServer"] | None = None

    async def take(self, order: Message, call: Call) -> None:
        """Take note of a command, then refuse it or say nothing if the test wants that."""
        self.asked.append((order, call))
        if type(order) in self.deaf:
            await asyncio.Event().wait()
        if type(order) in self.refuse:
            raise self.refuse[type(order)]

    async def stop(self) -> None:
        """Stop as a server does that was told to: its queue goes with it."""
        serving, self.serving = self.serving, None
        if serving is not None:
            await serving.stop(delete=True, within=0.1)

    def number_of(self, kind: type[Message]) -> int:
        """Return how often a command was given."""
        return sum(isinstance(order, kind) for order, _ in self.asked)

    async def renew(self, ago: float = 0.0) -> None:
        """Write the lease as if it had been renewed so many seconds ago."""
        sql = "update media_servers set renewed_at = clock_timestamp() - make_interval(secs => $3) where server = $1 and boot = $2"
        await self.rows.execute(sql, self.name, self.boot, ago)


async def allocate(order: AllocateRouter, call: Call, server: FakeServer) -> RouterAllocated:
    await server.take(order, call)
    async with server.rows.acquire() as on, on.transaction():
        await on.execute(
            "select hold_meeting($1, $2, $3, $4, $5)", call.tenant, call.meeting, call.epoch, server.name, server.boot
        )
        await on.execute(
            "insert into allocations values ($1, $2, $3, $4, $5, 'w', $6) on conflict do nothing",
            *(call.tenant, call.meeting, call.epoch, server.name, server.boot, f"router-{call.meeting}-{call.epoch}"),
        )
    return RouterAllocated(router_id=RouterId("asked-nobody-reads-it"), worker_id=WorkerId("w"))


async def capabilities(order: GetRouterCapabilities, call: Call, server: FakeServer) -> RouterCapabilities:
    await server.take(order, call)
    return RouterCapabilities(
        router_id=RouterId(f"router-{call.meeting}-{call.epoch}"), rtp_capabilities=RtpCapabilities()
    )


async def close_seats(order: CloseSeats, call: Call, server: FakeServer) -> SeatsClosed:
    await server.take(order, call)
    sql = "delete from transports where meeting = $1 and participant = $2 and seat < $3"
    await server.rows.execute(sql, call.meeting, order.participant_id, order.below)
    return SeatsClosed(closed_below=order.below)


async def close_router(order: CloseRouter, call: Call, server: FakeServer) -> Done:
    await server.take(order, call)
    await server.rows.execute("delete from allocations where meeting = $1 and epoch = $2", call.meeting, call.epoch)
    return Done()


async def replace_transports(order: ReplaceTransports, call: Call, server: FakeServer) -> TransportRecreated:
    await server.take(order, call)
    new, actor = TransportId(uuid4().hex), call.actor
    await server.rows.execute("delete from transports where id = any($1)", order.old)
    await server.rows.execute(
        "insert into transports values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        *(new, call.tenant, call.meeting, call.epoch, server.name, server.boot),
        *(actor.participant, actor.instance, actor.seat, order.direction),
    )
    return TransportRecreated(
        id=new, ice_parameters=NO_ICE, ice_candidates=[], dtls_parameters=DtlsParameters(fingerprints=[])
    )


async def connect_transport(order: ConnectTransport, call: Call, server: FakeServer) -> Done:
    await server.take(order, call)
    await server.rows.execute("update transports set connected = true where id = $1", order.transport_id)
    return Done()


async def create_producer(order: CreateProducer, call: Call, server: FakeServer) -> ProducerCreated:
    await server.take(order, call)
    body = json.dumps(
        {
            "producerId": "p1",
            "participantId": call.actor.participant,
            "kind": order.kind,
            "paused": False,
            "appData": {},
        }
    )
    await server.rows.execute(
        "select append_event($1, $2, $3, 'ProducerCreated', $4)", call.tenant, call.meeting, call.epoch, body
    )
    return ProducerCreated(id=ProducerId("p1"))


FAKE = {
    AllocateRouter: allocate,
    GetRouterCapabilities: capabilities,
    CloseSeats: close_seats,
    CloseRouter: close_router,
    ReplaceTransports: replace_transports,
    ConnectTransport: connect_transport,
    CreateProducer: create_producer,
}


@dataclass
class Stage:
    """Services of the test's own, and what is started on them."""

    database: Database
    broker: Broker
    cache: Cache
    rows: asyncpg.Pool
    redis: "Redis"
    bus: Bus
    stack: AsyncExitStack
    kendras: list[Kendra] = field(default_factory=list)

    async def kendra(self, **settings: Any) -> Kendra:
        """Start a kendra."""
        urls = {
            "postgres_url": self.database.of["kendra"],
            "amqp_url": self.broker.of["kendra"],
            "redis_url": self.cache.of["kendra"],
            "redis_prefix": self.cache.prefix,
        }
        kendra = await Kendra.build(Settings(**(urls | settings)), uuid4().hex[:8])
        await kendra.start()
        self.stack.push_async_callback(kendra.stop)
        self.kendras.append(kendra)
        return kendra

    async def server(self, name: str, capacity: int = 1024, **load: float) -> FakeServer:
        """Start a boot of a fake media server; `load` are columns of its row. Its lease holds until it is let lapse."""
        fake = FakeServer(self.rows, MediaServerId(name), BootId(uuid4().hex[:8]))
        values = {"cpu": 0.0, "egress": 0.0, "measured_ago": 0.0} | load
        await self.rows.execute(
            """insert into media_servers (server, boot, address, capacity, cpu, egress, measured_at, renewed_at)
               values ($1, $2, '127.0.0.1', $3, $4, $5, clock_timestamp() - make_interval(secs => $6), clock_timestamp() + interval '1 day')""",
            *(fake.name, fake.boot, capacity, values["cpu"], values["egress"], values["measured_ago"]),
        )
        fake.serving = Serving(
            self.broker.of["media"], media_commands(fake.name, fake.boot), FAKE, fake, "media", fake.boot
        )
        await fake.serving.start()
        self.stack.push_async_callback(fake.stop)
        return fake

    def call(
        self, meeting: str, actor: Actor = ADMIN, *, id: UUID | None = None, hash: str = "0" * 64, budget: float = 4.5
    ) -> Call:
        """Return the call of a client's command."""
        return replace(
            Call.begin(TENANT, MeetingId(meeting), budget, actor=actor),
            command_id=CommandId(id or uuid4()),
            body_hash=hash,
        )

    async def ask(self, order: Command[R], meeting: str, actor: Actor = ADMIN, **call: Any) -> R:
        """Ask kendra."""
        return await self.bus.ask(KENDRA_COMMANDS, order, self.call(meeting, actor, **call))

    async def tell(self, notice: Notice, meeting: str) -> None:
        """Tell kendra."""
        await self.bus.tell(KENDRA_COMMANDS, notice, self.call(meeting), 1.0)

    async def create(self, meeting: str, participants: int = 4, producers: int = 4, **call: Any) -> MeetingCreated:
        """Create a meeting."""
        order = CreateMeeting(capacity=Capacity(participants=participants, producers=producers))
        return await self.ask(order, meeting, **call)

    async def join(
        self, meeting: str, participant: str, instance: str = "1", actor: Actor = INVITED, **call: Any
    ) -> MeetingJoined:
        """Take a seat."""
        order = JoinMeeting(participant_id=ParticipantId(participant), instance_id=InstanceId(instance))
        return await self.ask(order, meeting, actor, **call)

    async def transport(self, meeting: str, actor: Actor, *, connected: bool = True) -> TransportId:
        """Make the participant's send transport anew, and connect it."""
        made = await self.ask(RecreateTransport(direction=Direction.SEND), meeting, actor)
        if connected:
            fingerprints = [DtlsFingerprint(algorithm="sha-256", value="00:11")]
            order = ConnectTransport(transport_id=made.id, dtls_parameters=DtlsParameters(fingerprints=fingerprints))
            await self.ask(order, meeting, actor)
        return made.id

    async def events(self, meeting: str) -> list[tuple[int, str]]:
        """Return the meeting's log: sequences and types."""
        rows = await self.rows.fetch("select sequence, type from events where meeting = $1 order by sequence", meeting)
        return [(row["sequence"], row["type"]) for row in rows]

    async def stream(self, meeting: str) -> list[tuple[str, dict[str, str]]]:
        """Return what Redis has of the meeting."""
        incarnation = await self.rows.fetchval("select incarnation from meetings where meeting = $1", meeting)
        key = f"{self.cache.prefix}events:{{{TENANT}:{meeting}:{incarnation}}}"
        return list(await self.redis.xrange(key))

    async def relayed(self, meeting: str) -> None:
        """Wait until the stream is the log."""

        async def same() -> bool:
            log = [(f"{sequence}-0", type) for sequence, type in await self.events(meeting)]
            stream = [(id, fields["type"]) for id, fields in await self.stream(meeting)]
            assert log == stream, f"log {log[-3:]}, stream {stream[-3:]}"
            return True

        await eventually(same)


async def carried(stage: Stage, by: str | None = None, number: int = 1) -> bool:
    """Say whether so many meetings live on that server (None: on any), with their routers, on a boot that holds its lease."""
    sql = """select count(*) from meetings m join allocations a using (tenant, meeting, epoch, server, boot)
             join media_servers s using (server, boot) where s.renewed_at > now() and server = coalesce($1, server)"""
    found = await stage.rows.fetchval(sql, by)
    assert found == number, f"{found} of {number} are carried by {by}"
    return True


async def exact(stage: Stage) -> bool:
    """Say whether each server is booked with what its meetings need, and no more than it has."""
    sql = """select b.server, b.booked, b.capacity, coalesce(sum(m.participants * m.producers), 0) as needed
             from bookings b left join meetings m on m.server = b.server group by b.server, b.booked, b.capacity"""
    for row in await stage.rows.fetch(sql):
        assert row["booked"] == row["needed"] <= row["capacity"], dict(row)
    return True


async def killed(server: FakeServer) -> None:
    """Have a server die as with SIGKILL: its queue stays, nobody answers, its lease runs out."""
    assert server.serving is not None
    serving, server.serving = server.serving, None
    await serving.stop(within=0.1)
    await server.renew(0.0)


def holder(joined: MeetingJoined, grants: tuple[Grant, ...] = INVITED.grants) -> Actor:
    """Return the actor that the participant token of a join stands for."""
    return Actor(grants=grants, participant=joined.participant_id, instance=joined.instance_id, seat=Seat(joined.seat))


def named(participant: str) -> Actor:
    """Return the actor of an access token with a `sub`."""
    return Actor(grants=INVITED.grants, participant=ParticipantId(participant))


def elapsed(since: float) -> float:
    """Return the seconds since then."""
    return time.monotonic() - since


@asynccontextmanager
async def staged(database: Database, broker: Broker, cache: Cache) -> AsyncIterator[Stage]:
    """Open a stage; what is started on it stops with it. The queue of all kendras is emptied, for tests share the vhost."""
    async with AsyncExitStack() as stack:
        rows = await stack.enter_async_context(asyncpg.create_pool(database.url, min_size=1, max_size=8))
        redis = Redis.from_url(cache.url, decode_responses=True)
        stack.push_async_callback(redis.aclose)
        bus = Bus(broker.of["gateway"], "gateway", uuid4().hex[:8])
        await bus.start()
        stack.push_async_callback(bus.stop)
        yield Stage(database, broker, cache, rows, redis, bus, stack)
