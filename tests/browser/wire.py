"""The network between a page and its gateway, for tests that cut it: HTTP and event streams go through, or are cut and refused. Media does not come this way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self
from urllib.parse import urlsplit

from services.cli.stack.ports import free_ports

_CHUNK = 64 * 1024


class Wire:
    """A TCP relay in front of a gateway."""

    def __init__(self, gateway: str) -> None:
        parts = urlsplit(gateway)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._own_port = free_ports(1)[0]
        self._open: set[asyncio.StreamWriter] = set()
        self._whole = True

    @property
    def url(self) -> str:
        """What a page has to be opened at to come through here."""
        return f"http://127.0.0.1:{self._own_port}"

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        self._whole = False
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self._whole = True

    @classmethod
    @asynccontextmanager
    async def to(cls, gateway: str) -> AsyncIterator[Self]:
        """Lay a wire for the time of a test."""
        wire = cls(gateway)
        server = await asyncio.start_server(wire._connected, "127.0.0.1", wire._own_port)
        try:
            yield wire
        finally:
            server.close()
            wire.cut()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        there_reader, there = await asyncio.open_connection(self._host, self._port)
        self._open |= {writer, there}
        await asyncio.gather(_carry(reader, there), _carry(there_reader, writer))
        self._open -= {writer, there}


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()
