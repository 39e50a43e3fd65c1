"""What the media server's tests share: a server on real services, an asker in kendra's place, meetings, and what rows and memory say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from json import loads
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg

from contracts.actor import Actor
from contracts.create_consumer import ConsumerCreated, CreateConsumer
from contracts.create_meeting import AllocateRouter
from contracts.create_producer import CreateProducer
from contracts.end_meeting import CloseRouter
from contracts.ids import (
    CommandId,
    Epoch,
    InstanceId,
    MediaServerId,
    MeetingId,
    ParticipantId,
    ProducerId,
    Seat,
    TenantId,
    TransportId,
)
from contracts.live import ListLive
from contracts.meeting import Capacity, Direction
from contracts.message import Command, Reply
from contracts.recreate_transport import ReplaceTransports, TransportRecreated
from contracts.rtp import Kind, RtpCapabilities, RtpParameters
from services.bus import Bus, Call, media_queue
from services.media_server.main import MediaServer, open_workers
from services.media_server.settings import Settings
from services.testing.session import Broker, Database
from tests.eventually import eventually

R = TypeVar("R", bound=Reply)
TENANT = TenantId("acme")
SERVER = "ms1"

OPUS = RtpParameters.model_validate(
    {
        "mid": "0",
        "codecs": [
            {
                "mimeType": "audio/opus",
                "payloadType": 111,
                "clockRate": 48000,
                "channels": 2,
                "parameters": {"minptime": 10, "useinbandfec": 1},
                "rtcpFeedback": [{"type": "transport-cc", "parameter": ""}],
            }
        ],
        "headerExtensions": [
            {"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 4, "encrypt": False, "parameters": {}}
        ],
        "encodings": [{"ssrc": 1111, "dtx": False}],
        "rtcp": {"cname": "alice", "reducedSize": True},
    }
)


def opus(number: int = 0) -> RtpParameters:
    """Return what a browser sends for its n-th microphone: an ssrc and mid of its own."""
    sent = OPUS.as_json() | {"mid": str(number), "encodings": [{"ssrc": 1111 + number}]}
    return RtpParameters.model_validate(sent)


@dataclass
class Meeting:
    """A meeting that wants a server's boot, seen from kendra. `ask` goes over the bus."""

    bus: Bus
    rows: asyncpg.Pool
    backends: asyncpg.Pool
    server: MediaServer
    id: MeetingId
    epoch: Epoch
    capabilities: RtpCapabilities = field(default_factory=RtpCapabilities)

    def call(
        self,
        participant: str | None = "alice",
        seat: int = 1,
        *,
        id: UUID | None = None,
        hash: str = "0" * 64,
        epoch: int | None = None,
        budget: float = 5.0,
    ) -> Call:
        """Return a call of a participant, or of nobody, with a random command id unless one is given."""
        actor = Actor()
        if participant is not None:
            actor = Actor(
                participant=ParticipantId(participant), instance=InstanceId(f"{participant}-{seat}"), seat=Seat(seat)
            )
        return Call(
            command_id=CommandId(id or uuid4()),
            tenant=TENANT,
            meeting=self.id,
            epoch=Epoch(epoch or self.epoch),
            actor=actor,
            deadline=asyncio.get_running_loop().time() + budget,
            body_hash=hash,
        )

    async def ask(self, order: Command[R], participant: str | None = "alice", seat: int = 1, **call: Any) -> R:
        """Ask the meeting's server."""
        queue = media_queue(MediaServerId(SERVER), self.server.boot)
        return await self.bus.ask(queue, order, self.call(participant, seat, **call))

    async def transport(
        self, direction: str, participant: str = "alice", seat: int = 1, **call: Any
    ) -> TransportRecreated:
        """Make the participant's transport of a direction anew."""
        return await self.ask(ReplaceTransports(direction=Direction(direction), old=[]), participant, seat, **call)

    async def produce(
        self, transport: TransportId, participant: str = "alice", seat: int = 1, *, number: int = 0, **call: Any
    ) -> ProducerId:
        """Begin to send a microphone."""
        order = CreateProducer(transport_id=transport, kind=Kind.AUDIO, rtp_parameters=opus(number))
        return (await self.ask(order, participant, seat, **call)).id

    async def consume(
        self, producer: ProducerId, participant: str = "bob", seat: int = 2, **call: Any
    ) -> ConsumerCreated:
        """Begin to receive a producer with everything that the router can send."""
        order = CreateConsumer(producer_id=producer, rtp_capabilities=self.capabilities)
        return await self.ask(order, participant, seat, **call)

    async def events(self) -> list[tuple[str, str | None, dict[str, Any]]]:
        """Return the meeting's log: type, receiver, body."""
        found = await self.rows.fetch(
            'select type, "to", body::json as body from events where meeting = $1 order by sequence', self.id
        )
        return [(row["type"], row["to"], row["body"]) for row in found]

    async def types(self) -> list[str]:
        """Return the types in the meeting's log."""
        return [type for type, _, _ in await self.events()]

    async def wants(self, server: MediaServer | None) -> None:
        """Begin the meeting's next epoch, wanting that server or none."""
        name, boot = (SERVER, server.boot) if server else (None, None)
        self.epoch = await self.rows.fetchval("select begin_epoch($1, $2)", TENANT, self.id)
        await self.rows.execute(
            """insert into meetings (tenant, meeting, participants, producers, server, boot, epoch) values ($1, $2, 80, 20, $3, $4, $5)
               on conflict (tenant, meeting) do update set server = $3, boot = $4, epoch = $5""",
            TENANT,
            self.id,
            name,
            boot,
            self.epoch,
        )
        self.server = server or self.server


@dataclass
class Stage:
    """A database, a broker and an asker; servers are started on it. `backends` sees what theirs do, for it has their role."""

    database: Database
    broker: Broker
    rows: asyncpg.Pool
    backends: asyncpg.Pool
    bus: Bus
    meetings: list[Meeting] = field(default_factory=list)

    async def start(self, **settings: Any) -> MediaServer:
        """Start a boot of the media server `ms1`; returns when its lease holds."""
        given = {
            "server": SERVER,
            "postgres_url": self.database.of["media"],
            "amqp_url": self.broker.of["media"],
            "media_port": 0,
            "workers": 1,
            "announced_address": None,
        }
        wanted = Settings(**{**given, **settings})
        server = MediaServer(wanted, await open_workers(wanted))
        await server.start()
        await eventually(lambda: _holds(server))
        return server

    async def meeting(self, server: MediaServer, participants: int = 80) -> Meeting:
        """Make a meeting that wants this server, with its router."""
        meeting = Meeting(self.bus, self.rows, self.backends, server, MeetingId(f"meeting-{uuid4().hex[:8]}"), Epoch(0))
        await meeting.wants(server)
        await meeting.ask(AllocateRouter(capacity=Capacity(participants=participants, producers=20)), None)
        self.meetings.append(meeting)
        meeting.capabilities = server.world.registry.rooms[TENANT, meeting.id].capabilities.rtp_capabilities
        return meeting

    async def end_meetings(self, server: MediaServer) -> None:
        """Make sure that rows and memory agree, then end what a test began, so that the next one finds an empty server."""
        await self.agree(server)
        for meeting in self.meetings:
            await self.rows.execute("select end_log($1, $2)", TENANT, meeting.id)
            await meeting.ask(CloseRouter(), None)
        self.meetings.clear()
        assert await self.agree(server) == set()

    async def written(self, server: MediaServer) -> set[str]:
        """Return the ids of everything that the server's rows say it has."""
        found: set[str] = set()
        for table, column in (
            ("allocations", "router"),
            ("transports", "id"),
            ("producers", "id"),
            ("consumers", "id"),
        ):
            rows = await self.rows.fetch(f"select {column} from {table} where boot = $1", server.boot)  # noqa: S608
            found |= {row[0] for row in rows}
        return found

    async def live(self, server: MediaServer) -> set[str]:
        """Return the ids of everything that the server has in memory, asked over the bus."""
        call = Call.begin(TENANT, MeetingId("-"), 5.0)
        listed = await self.bus.ask(media_queue(MediaServerId(SERVER), server.boot), ListLive(), call)
        return {
            id
            for router in listed.routers
            for id in (router.router_id, *router.transports, *router.producers, *router.consumers)
        }

    async def agree(self, server: MediaServer) -> set[str]:
        """Wait until rows and memory name the same objects; return them."""

        async def same() -> set[str]:
            written, live = await self.written(server), await self.live(server)
            assert written == live, f"only written: {written - live}, only live: {live - written}"
            return live | {""}

        return await eventually(same) - {""}


async def _holds(server: MediaServer) -> bool:
    return server.world.lease.holds(asyncio.get_running_loop().time())


@asynccontextmanager
async def staged(database: Database, broker: Broker) -> AsyncIterator[Stage]:
    """Open a stage; whoever starts a server on it stops it."""

    async def json_as_objects(connection: asyncpg.Connection) -> None:
        await connection.set_type_codec("json", schema="pg_catalog", encoder=str, decoder=loads)

    rows = await asyncpg.create_pool(database.url, min_size=1, max_size=4, init=json_as_objects)
    backends = await asyncpg.create_pool(database.of["media"], min_size=1, max_size=1)
    bus = Bus(broker.of["kendra"], "kendra", uuid4().hex[:8])
    await bus.start()
    try:
        yield Stage(database, broker, rows, backends, bus)
    finally:
        await bus.stop()
        await rows.close()
        await backends.close()
