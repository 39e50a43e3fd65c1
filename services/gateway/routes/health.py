"""Is the process alive, and can it work? Liveness depends on nothing outside the process."""

import asyncio
from typing import cast

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from contracts.message import Message
from services.gateway.edge import Edge
from services.gateway.events import Streams
from services.gateway.leaving import Leaving

routes = APIRouter(tags=["health"])


class Alive(Message):
    """The event loop turns."""

    alive: bool = True


class Ready(Message):
    """What the gateway needs, and whether it is there."""

    ready: bool
    checks: dict[str, bool]


@routes.get("/livez")
async def livez() -> Alive:
    """Say that the process lives."""
    return Alive()


@routes.get("/readyz", response_model=Ready, responses={503: {"description": "Not ready.", "model": Ready}})
async def readyz(request: Request) -> Response:
    """Say whether requests can be served: broker, Redis and Postgres are there, and this process is not about to stop."""
    edge, streams = cast(Edge, request.app.state.edge), cast(Streams, request.app.state.streams)
    leaving = cast(Leaving, request.app.state.leaving)
    redis, postgres = await asyncio.gather(streams.reachable(), edge.keys.usable())
    checks = {"broker": edge.bus.connected, "redis": redis, "postgres": postgres, "staying": not leaving.begun}
    ready = Ready(ready=all(checks.values()), checks=checks)
    return JSONResponse(ready.model_dump(by_alias=True), status_code=200 if ready.ready else 503)
