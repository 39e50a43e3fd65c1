"""The admin port of a process without an HTTP API of its own: `/livez`, `/readyz`, `/metrics`.

Liveness says that the event loop turns and depends on nothing outside; readiness asks the given checks. No secrets, no commands.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class CannotListen(OSError):
    """Somebody else has the port, or the address is not this machine's; the text says which."""


Check = Callable[[], Awaitable[bool]]
"""Whether one thing that the service needs is there. Taking over a second, or raising, means no."""

_PATIENCE = 1.0


class Admin:
    """Serves the three paths until stopped. `checks` are named as `/readyz` shows them."""

    def __init__(self, port: int, checks: Mapping[str, Check], host: str = "127.0.0.1") -> None:
        self.port = port
        self._host, self._checks = host, checks
        routes = [Route("/livez", _alive), Route("/readyz", self._ready), Route("/metrics", _metrics)]
        config = uvicorn.Config(
            Starlette(routes=routes), access_log=False, log_config=None, lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; asked for port 0, `port` is then the one the system chose. Raises CannotListen."""
        opened = listening(self._host, self.port)
        self.port = opened.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve(sockets=[opened]), name="admin port")

    async def stop(self) -> None:
        """Stop listening."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task

    async def _ready(self, _: Request) -> Response:
        names = tuple(self._checks)
        held = dict(zip(names, await asyncio.gather(*(_holds(self._checks[name]) for name in names)), strict=True))
        ready = all(held.values())
        return JSONResponse({"ready": ready, "checks": held}, status_code=200 if ready else 503)


def listening(host: str, port: int, backlog: int | None = None) -> socket.socket:
    """Return a socket that listens. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=backlog)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}") from None


class _Server(uvicorn.Server):
    """A server in a process whose signals belong to its main."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _holds(check: Check) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await check()
    except Exception:
        return False


async def _alive(_: Request) -> Response:
    return JSONResponse({"alive": True})


async def _metrics(_: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
