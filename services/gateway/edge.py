"""The edge that every API request crosses once: limits, identity, origin, body; then its route. What a route gets is a `Caller`.

* Nothing is read or looked up for a caller who is not known; the body is read after the token was verified.
* A command's id is the uuid5 of tenant, meeting, subject, seat, method, path and Idempotency-Key, so a repeat has the same
  id through every gateway; without a key it is random.
"""

import json
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, TypeVar
from uuid import UUID, uuid4, uuid5

from fastapi import Depends
from fastapi.routing import APIRoute
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from contracts.actor import Actor
from contracts.failure import Forbidden, InvalidRequest, Unauthenticated, Unavailable
from contracts.ids import CommandId, MeetingId
from contracts.message import Command, Reply
from services.bus import KENDRA_COMMANDS, NO_BODY, NO_MEETING, Bus, Call, NobodyThere, new_traceparent
from services.fault_points import Point, reached
from services.gateway import body
from services.gateway.cors import allowed, origin_of
from services.gateway.identity import Identity, Tokens
from services.gateway.keys import Keys
from services.gateway.limits import Limits

R = TypeVar("R", bound=Reply)

COMMANDS = UUID("6f1c3b1e-7a86-5c0a-9d2e-3c4f0b7f5a11")
"""The namespace of command ids; never changes, for repeats must meet their first."""

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Edge:
    """What the edge needs; made in `main`."""

    bus: Bus
    tokens: Tokens
    keys: Keys
    limits: Limits


@dataclass(frozen=True, slots=True)
class Caller:
    """One verified request: who calls, and what its command carries besides the body. `deadline` is `time.monotonic()`."""

    identity: Identity
    tokens: Tokens
    bus: Bus
    command_id: CommandId
    body_hash: str
    deadline: float
    traceparent: str

    async def ask(self, order: Command[R], actor: Actor, meeting: MeetingId = NO_MEETING) -> R:
        """Have kendra carry the order out. Raises what kendra answers, DeadlineExceeded, Unavailable."""
        call = Call(
            command_id=self.command_id,
            tenant=self.identity.tenant,
            meeting=meeting,
            epoch=None,
            actor=actor,
            deadline=self.deadline,
            body_hash=self.body_hash,
            traceparent=self.traceparent,
        )
        try:
            return await self.bus.ask(KENDRA_COMMANDS, order, call)
        except NobodyThere:
            raise Unavailable from None


class EdgeRoute(APIRoute):
    """A route behind the edge."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        """Return FastAPI's handler with the edge in front of it."""
        answer = super().get_route_handler()
        has_body = self.body_field is not None

        async def handle(request: Request) -> Response:
            edge: Edge = request.app.state.edge
            reached(Point.BEFORE_RECEIVE)
            identity = await _identified(edge, request)
            crossed = _Crossed(request.scope, request.receive)
            if has_body:
                await crossed.read()
            request.scope["caller"] = caller = _caller(edge, identity, request, crossed.body_hash)
            request.scope["state"]["command_id"] = caller.command_id
            reached(Point.AFTER_RECEIVE)
            return await answer(crossed)

        return handle


class _Crossed(Request):
    """A request whose body was read and judged already; FastAPI takes it from here instead of parsing it again."""

    body_hash: str = NO_BODY

    async def read(self) -> None:
        """Read, parse and hash the body. Raises PayloadTooLarge, InvalidRequest."""
        self._body = await body.read(self)
        self._json, self.body_hash = body.hashed(self._body)

    async def json(self) -> JsonValue:
        """Return the parsed body."""
        value: JsonValue = self._json
        return value


async def caller_of(request: Request) -> Caller:
    """Return the caller that the edge let in."""
    caller: Caller = request.scope["caller"]
    return caller


CallerOf = Annotated[Caller, Depends(caller_of)]


async def _identified(edge: Edge, request: Request) -> Identity:
    address = request.client.host if request.client else ""
    await edge.limits.knock(address)
    try:
        identity = await edge.tokens.verify(_bearer(request))
    except Unauthenticated:
        await edge.limits.failed(address)
        raise
    await edge.limits.admit(identity)
    await _check_origin(edge, identity, request.scope)
    return identity


def _bearer(request: Request) -> str:
    values = request.headers.getlist("authorization")
    scheme, _, token = (values[0] if len(values) == 1 else "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    return token.strip()


async def _check_origin(edge: Edge, identity: Identity, scope: Scope) -> None:
    """A web page of another origin may call only if the caller's own tenant lists that origin."""
    origin = origin_of(scope)
    if origin is None:
        return
    if origin == "null" or origin not in await edge.keys.origins(identity.tenant):
        scope["state"]["origin_allowed"] = False
        raise Forbidden("The token's tenant does not allow this web origin.")
    allowed(scope)


def _caller(edge: Edge, identity: Identity, request: Request, body_hash: str) -> Caller:
    trace = request.headers.get("traceparent", "")
    return Caller(
        identity=identity,
        tokens=edge.tokens,
        bus=edge.bus,
        command_id=_command_id(identity, request),
        body_hash=body_hash,
        deadline=request.scope["state"]["ask_until"],
        traceparent=trace if _TRACE.fullmatch(trace) else new_traceparent(),
    )


def _command_id(identity: Identity, request: Request) -> CommandId:
    key = request.headers.get("idempotency-key")
    if key is None:
        return CommandId(uuid4())
    if not _KEY.fullmatch(key):
        raise InvalidRequest("The Idempotency-Key is not 1 to 255 visible ASCII characters.")
    meeting = request.path_params.get("meeting", "")
    subject = identity.participant or f"key:{identity.key}"
    parts = [identity.tenant, meeting, subject, identity.seat, request.method, request.scope["path"], key]
    return CommandId(uuid5(COMMANDS, json.dumps(parts)))
