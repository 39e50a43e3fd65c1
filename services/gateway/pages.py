"""The web page at `/` and the description of the API at `/docs`: static files, nothing from another host.

Files with a hash in their name (below `/assets`) never change and are kept for a year; others are asked for again each time.
"""

import os
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from services.gateway.problems import MethodNotAllowed, NotFound, response

HERE = Path(__file__).parent / "static"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob: mediastream:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
UNCHANGING = "public, max-age=31536000, immutable"
NOT_BUILT = (
    "The web page is not built: there is no index.html in the gateway's web root.\n"
    "Build it with `npm ci && npm run build` in web/, or start everything with `make up`.\n"
    "The HTTP API works: see /docs.\n"
)


class Pages(StaticFiles):
    """Everything that no route takes: the built page. Unknown paths, and other methods, are problems like everywhere else."""

    def __init__(self, root: Path) -> None:
        super().__init__(directory=root, html=True, check_dir=False)
        self._index = root / "index.html"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await (await self._answer(scope))(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        path = scope["path"]
        if path == "/v1" or path.startswith("/v1/") or not self._in_root(path):
            return response(NotFound())
        if scope["method"] not in {"GET", "HEAD"}:
            return response(MethodNotAllowed(), headers={"Allow": "GET, HEAD"})
        if path == "/" and not self._index.exists():
            return PlainTextResponse(NOT_BUILT, 503)
        return await self.get_response(self.get_path(scope), scope)

    def _in_root(self, path: str) -> bool:
        try:
            full, found = self.lookup_path(os.path.normpath(path.lstrip("/")))
        except (OSError, ValueError):  # too long for a file's name, or with a NUL
            return False
        return path == "/" or (found is not None and os.path.isfile(full))

    def file_response(  # type: ignore[override]
        self, full_path: str, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return a file with our headers."""
        answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers.update(HEADERS)
        answer.headers["Cache-Control"] = UNCHANGING if scope["path"].startswith("/assets/") else "no-cache"
        return answer


def add_docs(app: FastAPI) -> None:
    """Serve the description of the API for people."""
    headers = {**HEADERS, "Cache-Control": "no-cache"}

    async def page() -> Response:
        return FileResponse(HERE / "docs.html", headers=headers)

    async def script() -> Response:
        return FileResponse(HERE / "docs.js", headers=headers)

    async def style() -> Response:
        return FileResponse(HERE / "docs.css", headers=headers)

    for path, answer in (("/docs", page), ("/docs/docs.js", script), ("/docs/docs.css", style)):
        app.add_api_route(path, answer, include_in_schema=False)
