"""A media server without media, that does wrong what a test wants: the real handlers, rows, queue and lease, on a plane that forwards nothing.

It runs in the test's own process. Faults sit between the queue and the handlers, and at the reply; the rest is the media server's own.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from aio_pika.abc import AbstractIncomingMessage

from contracts.ids import BootId, MediaServerId
from contracts.message import Message, Reply
from services.bus import Call, Handler, Handlers, Serving, media_commands
from services.media_server.handlers import HANDLERS
from services.media_server.main import PREFETCH, SERVICE, MediaServer
from services.media_server.settings import Settings
from services.media_server.workers import open_workers
from services.media_server.world import World
from services.stopping import cancelled
from services.testing.eventually import eventually
from services.testing.faults import AnswersTwice, AnyFault, DiesAfterCommit, Faults, Refuses, Slow


class FakeMediaServer:
    """One boot of a media server named `name`. `asked` are the commands it was given, oldest first."""

    def __init__(self, server: "_Served", faults: Sequence[AnyFault]) -> None:
        self._server = server
        self._dying: asyncio.Task[None] | None = None
        self.faults = Faults(tuple(faults))
        self.asked: list[tuple[Message, Call]] = []
        self.alive = True
        self._late: set[asyncio.Task[Reply | None]] = set()

    @classmethod
    async def start(cls, settings: Settings, faults: Sequence[AnyFault]) -> "FakeMediaServer":
        """Start one; returns when kendra may place meetings on it."""
        server = _Served(settings, await open_workers(settings))
        fake = cls(server, faults)
        server.fake = fake
        await server.start()

        async def leased() -> bool:
            return server.world.lease.holds(asyncio.get_running_loop().time())

        await eventually(leased, within=10.0)
        return fake

    @property
    def name(self) -> MediaServerId:
        """The name that stays."""
        return self._server.settings.name

    @property
    def boot(self) -> BootId:
        """This start of it."""
        return self._server.boot

    @property
    def meetings(self) -> set[str]:
        """The meetings that it has a router for, in memory."""
        return {meeting for _, meeting in self._server.world.registry.rooms}

    def number_of(self, kind: type[Message]) -> int:
        """Return how often a command was given."""
        return sum(isinstance(order, kind) for order, _ in self.asked)

    async def finished(self) -> None:
        """Wait until everything is done that was slow on purpose."""
        await asyncio.gather(*self._late, return_exceptions=True)

    async def stop(self) -> None:
        """Stop in order: its queue and its row go with it. One that died is only cleared away."""
        if self._dying is not None:
            await self._dying
        elif self.alive:
            await self.finished()
            self.alive = False
            await self._server.stop()

    async def die(self) -> None:
        """Die: from now on it answers nothing and renews nothing, and its queue and rows are left behind."""
        self.alive = False
        await self._server.fall()

    async def handle(self, handler: Handler, order: Message, call: Call, world: World) -> Reply | None:
        """Carry out a command with whatever shall go wrong."""
        self.asked.append((order, call))
        faults = self.faults.of(order)
        for fault in faults:
            if isinstance(fault, Refuses):
                self.faults.count(fault)
                raise fault.failure
        late = sum(fault.seconds for fault in faults if isinstance(fault, Slow))
        if late:
            task = asyncio.create_task(self._later(late, handler, order, call, world))
            self._late.add(task)
            reply = await asyncio.shield(task)
        else:
            reply = await handler(order, call, world)
        for fault in faults:
            if isinstance(fault, DiesAfterCommit):
                self.faults.count(fault)
                self._dying = asyncio.create_task(self.die())
                await asyncio.Event().wait()
        return reply

    async def _later(self, seconds: float, handler: Handler, order: Message, call: Call, world: World) -> Reply | None:
        """Carry out a command so much later, whether or not its asker still waits."""
        for fault in self.faults.of(order):
            if isinstance(fault, Slow):
                self.faults.count(fault)
        await asyncio.sleep(seconds)
        return await handler(order, replace(call, deadline=call.deadline + seconds), world)


class _Served(MediaServer):
    """The media server, with faults between its queue and its handlers."""

    fake: FakeMediaServer

    def _new_serving(self) -> Serving[World]:
        queue = media_commands(self.settings.name, self.boot, self.settings.commands_kept)
        handlers: Handlers = {kind: self._faulty(handler) for kind, handler in HANDLERS.items()}
        serving = _Answering(
            self.settings.amqp_url, queue, handlers, self.world, SERVICE, self._process, prefetch=PREFETCH
        )
        serving.faults = self.fake.faults
        return serving

    def _faulty(self, handler: Handler) -> Handler:
        async def handle(order: Message, call: Call, world: World) -> Reply | None:
            return await self.fake.handle(handler, order, call, world)

        return handle

    async def fall(self) -> None:
        """End everything that runs, and tell nobody."""
        await cancelled(self._tasks)
        if self._serving is not None:
            await self._serving.stop(within=0.0)
        await self._lease_database.close()
        await self._database.close()
        for worker in self.world.workers:
            await worker.close()
        await self._reviving.stop()
        if self._bus is not None:
            await self._bus.stop()
        await self.admin.stop()


class _Answering(Serving[World]):
    """Answers, twice where it shall."""

    faults: Faults

    async def _reply(self, message: AbstractIncomingMessage, name: str, body: bytes, deadline: float) -> None:
        await super()._reply(message, name, body, deadline)
        for fault in self.faults.of(message.type or ""):
            if isinstance(fault, AnswersTwice):
                self.faults.count(fault)
                await super()._reply(message, name, body, deadline)
