"""The network between a process and its services, as something that can be cut, that can swallow everything, and that can be slow.

Each link is a listener of our own in front of a service. A process is cut off by the kernel, which drops the packets between it and
its link. A link may also swallow, which looks the same to a process and needs no rights: nothing arrives, nobody is told, connections
that are begun get no answer; what was under way arrives when it heals, as TCP would send it again.
"""

import asyncio
import socket
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

from services.cli.stack.private import AMQP_URL, POSTGRES_URL
from services.cli.stack.system import Process
from tests.outages.packets import Refused, dropped

_CHUNK = 64 * 1024
_MOST_ON_THE_WAY = 256


class Link:
    """One way to one service; its port is its own from the beginning. `delay` is added to whatever the service says, seconds."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.delay = 0.0
        self._whole = asyncio.Event()
        self._whole.set()
        self._target = ("", 0)
        self._server: asyncio.Server | None = None
        self._flows: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int) -> None:
        """Begin to carry to a service."""
        self._target = (host, port)
        self._server = await asyncio.start_server(self._accept, sock=self._socket, limit=_CHUNK)

    async def close(self) -> None:
        """Carry nothing any more."""
        (self._server or self._socket).close()
        for flow in self._flows:
            flow.cancel()
        await asyncio.gather(*self._flows, return_exceptions=True)

    def swallow(self) -> None:
        """Let nothing through, without a word to anybody."""
        self._whole.clear()

    def heal(self) -> None:
        """Let everything through, also what was under way."""
        self._whole.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        try:
            there, onwards = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        for source, sink, slow in ((reader, onwards, False), (there, writer, True)):
            flow = asyncio.create_task(self._carry(source, sink, slow))
            self._flows.add(flow)
            flow.add_done_callback(self._flows.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, slow: bool) -> None:
        """Carry one direction; what is on the way arrives in its order, each piece when it is due."""
        way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_MOST_ON_THE_WAY)
        arriving = asyncio.create_task(self._arrive(way, sink))
        loop = asyncio.get_running_loop()
        try:
            with suppress(OSError):
                while piece := await source.read(_CHUNK):
                    await way.put((loop.time() + (self.delay if slow else 0.0), piece))
            await way.join()
        finally:
            arriving.cancel()
            sink.close()

    async def _arrive(self, way: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, piece = await way.get()
            await asyncio.sleep(due - loop.time())
            await self._whole.wait()
            with suppress(OSError):
                sink.write(piece)
                await sink.drain()
            way.task_done()


class Network:
    """The links of some processes: to the broker and to Postgres, each process its own."""

    def __init__(self, *names: str) -> None:
        self.broker: Mapping[str, Link] = {name: Link() for name in names}
        self.postgres: Mapping[str, Link] = {name: Link() for name in names}
        self._targets: dict[Link, tuple[str, int]] = {}

    def routed(self, process: Process) -> Process:
        """Return a process that reaches its services over its links, if it has any."""
        if process.name not in self.broker:
            return process
        environment = dict(process.environment)
        for setting, link in ((AMQP_URL, self.broker[process.name]), (POSTGRES_URL, self.postgres[process.name])):
            parts = urlsplit(environment[setting])
            self._targets[link] = (str(parts.hostname), int(parts.port or 0))
            user, _, _ = parts.netloc.rpartition("@")
            environment[setting] = urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{link.port}"))
        return replace(process, environment=environment)

    async def open(self) -> None:
        """Carry everything."""
        for link, target in self._targets.items():
            await link.open(*target)

    async def close(self) -> None:
        """Carry nothing."""
        for link in self._targets:
            await link.close()


@contextmanager
def slowed(delay: float, *links: Link) -> Iterator[None]:
    """Have the services behind links answer so many seconds later while inside."""
    for link in links:
        link.delay = delay
    try:
        yield
    finally:
        for link in links:
            link.delay = 0.0


@asynccontextmanager
async def swallowed(*links: Link) -> AsyncIterator[None]:
    """Have links swallow everything while inside."""
    for link in links:
        link.swallow()
    try:
        yield
    finally:
        for link in links:
            link.heal()


@asynccontextmanager
async def cut_off(*links: Link) -> AsyncIterator[None]:
    """Have no packet of links arrive while inside. A machine that does not allow that has them swallow instead, and is said to."""
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(dropped(*(link.port for link in links)))
        except Refused as why:
            warnings.warn(f"cut off by a proxy that swallows: this machine drops no packets ({why})", stacklevel=1)
            await stack.enter_async_context(swallowed(*links))
        yield
