"""Around every request: one time budget, one measurement, a log line when it went badly, and the headers that every answer has.

Whatever is broken, a client has an answer within 4.5 s: 504 when the outcome is unknown, never silence. What raises is logged
here and answered as `internal`. The budget ends when the answer begins: a large file takes a slow line as long as it takes,
as long as the client makes room for each piece of it. An event stream sees to that itself.
"""

import asyncio
import logging
import time

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.failure import DeadlineExceeded, Internal, KendraError
from services.fault_points import Point, reached
from services.gateway import problems
from services.gateway.leaving import Leaving

ANSWER_WITHIN = 4.5
ASK_WITHIN = 4.3
"""Seconds after its arrival until which a request may wait for kendra; the rest is for the answer."""

READ_WITHIN = 10.0
"""Seconds that a client may take to make room for what is sent to it."""

SLOW = 1.0
"""Seconds from which on a request is worth a line in the log."""

log = structlog.stdlib.get_logger("gateway")

SECONDS = Histogram(
    "doordarshan_http_seconds",
    "Time from a request's head to its answer's head, by flow and status",
    ("flow", "status"),
    buckets=(0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.3, 2.5, 5.0),
)

HUNG_UP = Counter("doordarshan_http_hung_up", "Requests whose client went away before they had arrived")


class Observed:
    """ASGI middleware, the outermost: measures each request once, by the name of its flow, never by its path."""

    def __init__(self, app: ASGIApp, leaving: Leaving, hsts: bool) -> None:
        self._app, self._leaving, self._hsts = app, leaving, hsts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        scope.setdefault("state", {})

        async def send_observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(MutableHeaders(raw=message["headers"]))
                _note(scope, message["status"], time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, send_observed)

    def _complete(self, headers: MutableHeaders) -> None:
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Cache-Control", "no-store")
        if self._leaving.begun:
            headers["Connection"] = "close"
        if self._hsts:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")


class Budget:
    """ASGI middleware, the innermost: bounds the request in time and turns what escapes into an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer in its place if it raises or takes too long."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["state"]["ask_until"] = time.monotonic() + ASK_WITHIN
        begun = bounds_itself = False
        failure: KendraError

        async def send_begun(message: Message) -> None:
            nonlocal begun, bounds_itself
            if not begun:
                reached(Point.BEFORE_REPLY)
                begun, bounds_itself = True, _is_stream(message)
            if not limit.expired():
                limit.reschedule(None if bounds_itself else asyncio.get_running_loop().time() + READ_WITHIN)
            await send(message)
            if not message.get("more_body", message["type"] == "http.response.start"):
                reached(Point.AFTER_REPLY)

        try:
            async with asyncio.timeout(ANSWER_WITHIN) as limit:
                await self._app(scope, receive, send_begun)
            return
        except TimeoutError:
            failure = DeadlineExceeded()
        except ClientDisconnect:
            HUNG_UP.inc()  # while it sent the request: nothing was begun, and nobody is left to hear an answer
            return
        except Exception:
            log.exception("a request failed", flow=_flow(scope), command_id=str(scope["state"].get("command_id")))
            failure = Internal()
        if not begun:
            command = scope["state"].get("command_id")
            answer = problems.response(failure, None if command is None else f"urn:uuid:{command}")
            await answer(scope, receive, send)
        elif isinstance(failure, DeadlineExceeded):
            scope.get("extensions", {}).get("doordarshan.abort", lambda: None)()


def _is_stream(message: Message) -> bool:
    return Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream")


def _flow(scope: Scope) -> str:
    route = scope.get("route")
    return getattr(route, "name", None) or "none"


def _note(scope: Scope, status: int, seconds: float) -> None:
    """Measure a request; log it if it failed in here or took long. The rest is in the metrics, and in the log at debug."""
    flow = _flow(scope)
    SECONDS.labels(flow, str(status)).observe(seconds)
    level = logging.WARNING if status >= 500 or seconds > SLOW else logging.DEBUG
    command = str(scope["state"].get("command_id"))
    log.log(level, "answered", flow=flow, status=status, ms=round(seconds * 1000, 1), command_id=command)
