"""The HTTP API as a participant uses it. A refused request is an `ApiError` with the problem's code.

Every POST carries an `Idempotency-Key` and is repeated with it while the answer is a retryable one, or none came, and the budget lasts.
Of several gateways the next one is asked when one does not answer. What was asked and what came of it is kept in `history`.
"""

import asyncio
import json
import random
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import cast
from uuid import uuid4

import httpx2 as httpx
from pydantic import JsonValue

from services.cli.participant.stream import ServerEvent, parsed

JsonObject = dict[str, JsonValue]
RETRYABLE = {429, 502, 503, 504}
OVER = {"stale_instance", "meeting_not_found", "participant_not_found", "unauthenticated"}
"""Codes after which nothing can be repeated with this token."""
SILENCE = 25.0
"""Seconds after which a silent stream of events is a lost one; the gateway sends a comment every 10."""

__all__ = ["Api", "ApiError", "Asked", "JsonObject", "ServerEvent"]


class ApiError(Exception):
    """The gateway answered with a problem, or not at all (`unreachable`, status 0)."""

    def __init__(self, code: str, detail: str, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code, self.status, self.retry_after = code, status, retry_after

    @property
    def retryable(self) -> bool:
        """The same request, with the same key, may succeed later."""
        return self.status == 0 or self.status in RETRYABLE

    @property
    def over(self) -> bool:
        """The caller's seat or the meeting is over."""
        return self.code in OVER


@dataclass(frozen=True)
class Asked:
    """One request with all its repeats, and what came of it. Times are monotonic; `slowest` is the longest single try, in seconds."""

    method: str
    path: str
    key: str | None
    began: float
    ended: float
    tries: int
    slowest: float
    status: int
    code: str | None
    answer: JsonValue

    @property
    def acknowledged(self) -> bool:
        """It was answered with a success."""
        return self.code is None


class Api:
    """One caller with one bearer token. `token` may be replaced (join gives a participant token)."""

    def __init__(
        self, url: str | Sequence[str], token: str, *, verify: bool | ssl.SSLContext = True, budget: float = 15.0
    ) -> None:
        self.token, self.budget = token, budget
        self.history: list[Asked] = []
        self._urls = [one.rstrip("/") for one in ([url] if isinstance(url, str) else url)]
        self._at = 0
        self._http = httpx.AsyncClient(timeout=6.0, verify=verify)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(self, path: str) -> JsonObject:
        """Read a resource. Raises ApiError."""
        return cast(JsonObject, await self._call("GET", path, None))

    async def stats(self, path: str) -> list[JsonObject]:
        """Read the stats objects of a transport, producer or consumer. Raises ApiError."""
        return cast(list[JsonObject], await self._call("GET", f"{path}/stats", None))

    async def post(
        self, path: str, body: JsonObject | None = None, *, key: str | None = None, soon: bool = False
    ) -> JsonObject:
        """Order something, once, however often it has to be repeated. Raises ApiError.

        `key` is the Idempotency-Key. `soon`: do not wait as long as a meeting's absent media server asks for; another one is on its way.
        """
        return cast(JsonObject, await self._call("POST", path, {} if body is None else body, key or uuid4().hex, soon))

    async def delete(self, path: str) -> None:
        """Close something. Raises ApiError."""
        await self._call("DELETE", path, None)

    async def events(self, path: str, after: int | None = None) -> AsyncIterator[ServerEvent]:
        """Follow a meeting's events from `after` on, until the stream ends. Raises ApiError, also when it breaks or falls silent."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        at = self._at
        try:
            timeout = httpx.Timeout(6.0, read=SILENCE)
            async with self._http.stream("GET", self._urls[at] + path, headers=headers, timeout=timeout) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise _problem(answer)
                async for event in parsed(answer.aiter_lines()):
                    yield event
        except httpx.HTTPError as error:
            self._next_after(at)
            raise _unreachable(error) from error

    async def _call(
        self, method: str, path: str, body: JsonObject | None, key: str | None = None, soon: bool = False
    ) -> JsonValue:
        began, tries, slowest = time.monotonic(), 0, 0.0
        while True:
            tries, at, asked = tries + 1, self._at, time.monotonic()
            try:
                status, answer = await self._once(method, self._urls[at] + path, body, key)
                failure = None
            except ApiError as error:
                status, answer, failure = error.status, None, error
            slowest = max(slowest, time.monotonic() - asked)
            wait = _pause(failure, soon) if failure is not None else 0.0
            if failure is None or not failure.retryable or time.monotonic() + wait > began + self.budget:
                break
            if failure.status == 0:
                self._next_after(at)
            await asyncio.sleep(wait)
        code = failure.code if failure else None
        self.history.append(Asked(method, path, key, began, time.monotonic(), tries, slowest, status, code, answer))
        if failure is not None:
            raise failure
        return answer

    async def _once(self, method: str, url: str, body: JsonObject | None, key: str | None) -> tuple[int, JsonValue]:
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Idempotency-Key": key} if key else {})
        try:
            answer = await self._http.request(method, url, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        if not answer.is_success:
            raise _problem(answer)
        return answer.status_code, cast(JsonValue, json.loads(answer.content)) if answer.content else {}

    def _next_after(self, at: int) -> None:
        """Go to the next gateway, unless somebody has done so already."""
        if self._at == at:
            self._at = (at + 1) % len(self._urls)


def _pause(failure: ApiError, soon: bool) -> float:
    if soon and failure.code == "media_server_unavailable":
        return random.uniform(0.1, 0.3)
    return failure.retry_after if failure.retry_after is not None else 0.2


def _unreachable(error: httpx.HTTPError) -> ApiError:
    return ApiError("unreachable", str(error) or type(error).__name__)


def _problem(answer: httpx.Response) -> ApiError:
    said = answer.headers.get("Retry-After")
    wait = float(said) if said else None
    try:
        problem = json.loads(answer.content)
        return ApiError(str(problem["code"]), str(problem.get("detail", "")), answer.status_code, wait)
    except (ValueError, KeyError, TypeError):
        return ApiError(f"http_{answer.status_code}", answer.text[:200], answer.status_code, wait)
