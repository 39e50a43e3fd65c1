"""What the bus tests share: a few commands, a service that carries them out, an asker, a plain AMQP client, a line that can be cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from yarl import URL

from contracts.failure import MeetingFull
from contracts.ids import MeetingId, TenantId
from contracts.message import Command, Done, Notice, Reply
from contracts.rtp import IceParameters
from services.bus import Bus, Call, QueueSpec, Serving

TENANT, MEETING = TenantId("acme"), MeetingId("standup")


class Echoed(Reply):
    text: str


class Echo(Command[Echoed]):
    text: str


class EchoBody(Echo, extra="forbid"):
    """As an HTTP route would take it."""


class Refuse(Command[Done]):
    """Always refused."""


class Break(Command[Done]):
    """Its handler has a bug."""


class Hold(Command[Done]):
    """Carried out when the test opens the gate."""


class Credentials(Reply):
    ice_parameters: IceParameters
    participant_token: str


class GetCredentials(Command[Credentials]):
    """Answered with secrets."""


class Nudge(Notice):
    number: int


class Unheard(Command[Done]):
    """No handler knows it."""


@dataclass
class World:
    """What the handlers saw, and the gate they wait at."""

    calls: list[tuple[str, Call]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    nudges: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    held: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def begun(self, number: int) -> None:
        """Wait until so many more handlers wait at the gate."""
        async with asyncio.timeout(20):
            for _ in range(number):
                await self.held.acquire()

    def ids(self, command: type[Command[Done]] | type[Command[Echoed]]) -> list[str]:
        """Return the ids of the commands of that type, one for each time it was begun."""
        return [str(call.command_id) for name, call in self.calls if name == command.__name__]


async def echo(order: Echo, call: Call, world: World) -> Echoed:
    world.calls.append((Echo.__name__, call))
    world.texts.append(order.text)
    return Echoed(text=order.text)


async def refuse(order: Refuse, call: Call, world: World) -> Done:
    raise MeetingFull("20 of 20 seats are taken")


async def broken(order: Break, call: Call, world: World) -> Done:
    raise ZeroDivisionError("a bug")


async def hold(order: Hold, call: Call, world: World) -> Done:
    world.calls.append((Hold.__name__, call))
    world.held.release()
    try:
        await world.gate.wait()
    except asyncio.CancelledError:
        world.cancelled.set()
        raise
    return Done()


async def credentials(order: GetCredentials, call: Call, world: World) -> Credentials:
    return Credentials(
        ice_parameters=IceParameters(username_fragment="abcd", password='sec"ret'), participant_token="eyJhbGciOi"
    )


async def nudge(notice: Nudge, call: Call, world: World) -> None:
    world.nudges.put_nowait(notice.number)


HANDLERS = {Echo: echo, Refuse: refuse, Break: broken, Hold: hold, GetCredentials: credentials, Nudge: nudge}


def some_queue(**arguments: str | int) -> QueueSpec:
    """Return a queue of its own, as a media server's, which the broker forgets by itself."""
    extra = {"x-expires": 60_000, "x-dead-letter-exchange": "dead"} | arguments
    return QueueSpec(f"try.{uuid4().hex}", extra=tuple(extra.items()))


def call(budget: float = 5.0) -> Call:
    """Return the call of a command that has `budget` seconds."""
    return Call.begin(TENANT, MEETING, budget)


@asynccontextmanager
async def serving(url: str, queue: QueueSpec, world: World, *, process: str = "p1") -> AsyncIterator[Serving[World]]:
    """A service `try` on the queue; it stops and deletes the queue at the end."""
    service = Serving(url, queue, HANDLERS, world, "try", process)
    await service.start()
    try:
        yield service
    finally:
        world.gate.set()
        await service.stop(delete=True)


@asynccontextmanager
async def asking(url: str, service: str = "asker") -> AsyncIterator[Bus]:
    """An asker of its own, named as a service."""
    bus = Bus(url, service, uuid4().hex[:8])
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()


@dataclass
class Stranger:
    """A plain AMQP client, as any tool: it sends what it likes and reads what comes to its reply queue."""

    channel: aio_pika.abc.AbstractChannel
    reply_queue: str
    replies: "asyncio.Queue[AbstractIncomingMessage]" = field(default_factory=asyncio.Queue)

    async def send(self, queue: str, body: bytes, **properties: object) -> None:
        """Send a well-formed Echo's envelope, except for what is named; `headers` are added, those of None left out."""
        headers: dict[str, object] = {"tenant": TENANT, "meeting": MEETING, "remainingMs": 5_000, "contractVersion": 1}
        headers |= properties.pop("headers", {})  # type: ignore[arg-type]
        correct = {
            "type": "Echo",
            "message_id": str(uuid4()),
            "correlation_id": uuid4().hex,
            "reply_to": self.reply_queue,
        }
        message = aio_pika.Message(
            body,
            headers={name: value for name, value in headers.items() if value is not None},
            **(correct | properties),
        )
        await self.channel.default_exchange.publish(message, queue)

    async def reply(self) -> AbstractIncomingMessage:
        """Return the next reply."""
        async with asyncio.timeout(5):
            return await self.replies.get()


@asynccontextmanager
async def stranger(url: str) -> AsyncIterator[Stranger]:
    """A stranger with a reply queue `reply.tool.*`."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(
            f"reply.tool.{uuid4().hex}", durable=True, arguments={"x-expires": 60_000, "x-queue-type": "classic"}
        )
        found = Stranger(channel, queue.name)
        await queue.consume(found.replies.put, no_ack=True)
        yield found


class Line:
    """A TCP line to the broker that can be cut (and is there again at once) or stalled (nothing passes any more)."""

    def __init__(self, url: str) -> None:
        self._broker = URL(url)
        self._ends: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    @asynccontextmanager
    async def laid(self, port: int = 0) -> AsyncIterator[str]:
        """Lay it and give the URL at its near end."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", port)
        try:
            yield str(self._broker.with_host("127.0.0.1").with_port(server.sockets[0].getsockname()[1]))
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """Reset every connection on it."""
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    def stall(self) -> None:
        """Let nothing pass any more, without closing anything."""
        self._flowing.clear()

    async def used(self) -> bool:
        """Whether somebody connected."""
        return bool(self._ends)

    async def _connect(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        far_in, far_out = await asyncio.open_connection(self._broker.host, self._broker.port)
        self._ends |= {near_out, far_out}
        await asyncio.gather(self._pass(near_in, far_out), self._pass(far_in, near_out), return_exceptions=True)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._flowing.wait()
            sink.write(data)
            await sink.drain()
        sink.close()
