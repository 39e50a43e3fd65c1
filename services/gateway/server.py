"""The HTTP server: uvicorn with a bound on request heads, and an end that does not wait for event streams.

httptools sets no bound on a head's size and uvicorn none on its time; both are set here.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.gateway.settings import Settings

LARGEST_HEAD = 32 * 1024
HEAD_WITHIN = 10.0
"""Seconds that a connection may take to send a request's head."""

KEEP_ALIVE = 60
GRACE = 5
"""Seconds for what still runs when the server stops: each request is answered within less, event streams are ended before."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. The head of each request is bounded in bytes and time; the scope has the means to cut the connection."""

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_WITHIN, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._head_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; refuse a head that is too large."""
        self._head_bytes += len(data)
        in_head = self._head_timer is not None
        super().data_received(data)
        if in_head and self._head_timer is not None and self._head_bytes > LARGEST_HEAD:
            self.send_400_response("The head of the request is too large.")
            self._head_read()

    def on_message_begin(self) -> None:
        """Begin a head: the first of the connection is waited for already."""
        super().on_message_begin()
        self.scope["extensions"] = {"doordarshan.abort": self.transport.abort}  # type: ignore[dict-item]
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(HEAD_WITHIN, self.transport.close)

    def on_headers_complete(self) -> None:
        """End a head."""
        self._head_read()
        super().on_headers_complete()

    def _head_read(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class Server(uvicorn.Server):
    """A server whose signals belong to `main`. `before_shutdown` ends what would never end by itself."""

    def __init__(self, config: uvicorn.Config, before_shutdown: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_shutdown = before_shutdown

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the endless, then finish the rest for a moment."""
        self._before_shutdown()
        await super().shutdown(sockets)


def create_server(app: ASGIApp, settings: Settings, before_shutdown: Callable[[], None]) -> Server:
    """Return the server; it listens when it is run."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    return Server(config, before_shutdown)
