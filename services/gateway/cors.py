"""Web pages of other origins (Fetch standard, CORS): a preflight passes if any tenant lists the origin, for it carries no token;
the call itself only if its own tenant does (`edge` checks that). The gateway's own page is of no other origin.

A refusal before the tenant is known (401, 429 …) is readable for an origin that any tenant lists.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.failure import Forbidden, KendraError
from services.gateway import problems
from services.gateway.keys import Keys

LONGEST_ORIGIN = 256
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Traceparent",
    "Access-Control-Max-Age": "600",
}
_EXPOSED = "Retry-After"


def origin_of(scope: Scope) -> str | None:
    """Return the web origin that calls, or None when it is the gateway's own or no browser's."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None or origin.partition("://")[2] == headers.get("host"):
        return None
    return origin


def allowed(scope: Scope) -> None:
    """Let the calling page read the answer."""
    scope["state"]["origin_allowed"] = True


class Cors:
    """ASGI middleware: answers preflights and adds the headers of answers."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is no business of another origin."""
        origin = origin_of(scope) if scope["type"] == "http" else None
        if origin is None:
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope):
            await (await self._preflight(origin))(scope, receive, send)
            return

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                headers.add_vary_header("Origin")
                verdict = scope["state"].get("origin_allowed")
                if verdict or (verdict is None and await self._known(origin)):
                    headers["Access-Control-Allow-Origin"] = origin
                    headers["Access-Control-Expose-Headers"] = _EXPOSED
            await send(message)

        await self._app(scope, receive, send_readable)

    async def _preflight(self, origin: str) -> Response:
        if not await self._known(origin):
            return problems.response(Forbidden("No tenant allows this web origin."), headers={"Vary": "Origin"})
        return Response(
            status_code=204, headers={**_PREFLIGHT, "Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        )

    async def _known(self, origin: str) -> bool:
        if origin == "null" or len(origin) > LONGEST_ORIGIN:
            return False
        try:
            return await self._keys.is_known_origin(origin)
        except KendraError:
            return False
