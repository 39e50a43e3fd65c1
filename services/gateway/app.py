"""The HTTP application: its routes and what stands around them. Everything it needs is given."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from contracts.failure import KendraError
from services.gateway import openapi, pages, problems
from services.gateway.budget import Budget, Observed
from services.gateway.cors import Cors
from services.gateway.edge import Edge
from services.gateway.events import Streams
from services.gateway.leaving import Leaving
from services.gateway.routes import consumers, events, health, join, meetings, producers, servers, transports
from services.gateway.settings import Settings

DESCRIPTION = "Meetings for WebRTC: start one, join it, send and receive tracks, follow what happens. JSON, camelCase; errors are RFC 9457 problems."
TABLES = (meetings, join, transports, producers, consumers, events, servers, health)


def create_app(settings: Settings, edge: Edge, streams: Streams, leaving: Leaving) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="Doordarshan Kendra",
        version=openapi.VERSION,
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_flow_name,
    )
    app.state.settings, app.state.edge, app.state.streams, app.state.leaving = settings, edge, streams, leaving
    for table in TABLES:
        app.include_router(table.routes)
    app.add_exception_handler(KendraError, problems.on_failure)
    app.add_exception_handler(RequestValidationError, problems.on_invalid)
    app.add_exception_handler(HTTPException, problems.on_http)
    app.add_api_route("/openapi.json", _openapi, include_in_schema=False)
    pages.add_docs(app)
    app.router.default = pages.Pages(settings.web_root)
    return app


def surrounded(app: FastAPI, settings: Settings, edge: Edge, leaving: Leaving) -> ASGIApp:
    """Return the application within its middlewares, the outermost last."""
    return Observed(Cors(Budget(app), edge.keys), leaving, hsts=settings.tls_certificate is not None)


async def _openapi(request: Request) -> JSONResponse:
    return JSONResponse(openapi.describe(request.app), headers={"Cache-Control": "no-cache"})


def _flow_name(route: APIRoute) -> str:
    return route.name
