"""The HTTP API as a participant uses it. A refused request is an `ApiError` with the problem's code.

Every POST carries an `Idempotency-Key` and is repeated with it while the answer is a retryable one and the budget lasts.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast
from uuid import uuid4

import httpx2 as httpx
from pydantic import JsonValue

JsonObject = dict[str, JsonValue]
RETRYABLE = {429, 502, 503, 504}


class ApiError(Exception):
    """The gateway answered with a problem, or not at all."""

    def __init__(self, code: str, detail: str, status: int = 0) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code, self.status = code, status


@dataclass(frozen=True)
class ServerEvent:
    """One event of the stream; `sequence` is None for live ones and gaps without one."""

    type: str
    sequence: int | None
    body: JsonObject


class Api:
    """One caller with one bearer token. `token` may be replaced (join gives a participant token)."""

    def __init__(self, url: str, token: str, *, verify: bool | ssl.SSLContext = True, budget: float = 15.0) -> None:
        self.token, self.budget = token, budget
        self._http = httpx.AsyncClient(base_url=url.rstrip("/"), timeout=6.0, verify=verify)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(self, path: str) -> JsonObject:
        """Read a resource. Raises ApiError."""
        return cast(JsonObject, await self._call("GET", path, None))

    async def stats(self, path: str) -> list[JsonObject]:
        """Read the stats objects of a transport, producer or consumer. Raises ApiError."""
        return cast(list[JsonObject], await self._call("GET", f"{path}/stats", None))

    async def post(self, path: str, body: JsonObject | None = None, *, key: str | None = None) -> JsonObject:
        """Order something, once, however often it has to be repeated; `key` is the Idempotency-Key. Raises ApiError."""
        return cast(JsonObject, await self._call("POST", path, {} if body is None else body, key or uuid4().hex))

    async def delete(self, path: str) -> None:
        """Close something. Raises ApiError."""
        await self._call("DELETE", path, None)

    async def _call(self, method: str, path: str, body: JsonObject | None, key: str | None = None) -> JsonValue:
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Idempotency-Key": key} if key else {})
        until = time.monotonic() + self.budget
        while True:
            try:
                answer = await self._http.request(method, path, json=body, headers=headers)
            except httpx.HTTPError as error:
                failure, wait = ApiError("unreachable", str(error) or type(error).__name__), 0.2
            else:
                if answer.is_success:
                    return cast(JsonValue, json.loads(answer.content)) if answer.content else {}
                failure, wait = _problem(answer), float(answer.headers.get("Retry-After", "0.2"))
                if answer.status_code not in RETRYABLE:
                    raise failure
            if time.monotonic() + wait > until:
                raise failure
            await asyncio.sleep(wait)

    async def events(self, path: str, after: int | None = None) -> AsyncIterator[ServerEvent]:
        """Follow a meeting's events from `after` on, until the stream ends. Raises ApiError."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        timeout = httpx.Timeout(6.0, read=None)
        async with self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
            if not answer.is_success:
                await answer.aread()
                raise _problem(answer)
            fields: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line:
                    name, _, value = line.partition(":")
                    fields[name] = value.removeprefix(" ")
                elif "data" in fields:
                    sequence = int(fields["id"]) if fields.get("id") else None
                    yield ServerEvent(fields.get("event", "message"), sequence, json.loads(fields["data"]))
                    fields = {}


def _problem(answer: httpx.Response) -> ApiError:
    try:
        problem = json.loads(answer.content)
        return ApiError(str(problem["code"]), str(problem.get("detail", "")), answer.status_code)
    except (ValueError, KeyError, TypeError):
        return ApiError(f"http_{answer.status_code}", answer.text[:200], answer.status_code)
