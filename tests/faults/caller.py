"""A caller who does not give up: one order with one Idempotency-Key, repeated until it is answered for good."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

import httpx2 as httpx

_PAUSE = 0.05
_ONE_CALL = 5.0
"""No call may take longer, whatever is broken; seconds."""
OVERDUE = 0.6
"""What a busy test machine may add to that."""
UNANSWERED = {429, 502, 503, 504}


@dataclass(frozen=True)
class Answer:
    """An answer that is final: a success, or a refusal that a repeat would not change."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return self.status < 300

    @property
    def json(self) -> dict[str, Any]:
        """The body."""
        found: dict[str, Any] = httpx.Response(200, content=self.body).json() if self.body else {}
        return found

    @property
    def code(self) -> str:
        """The problem's code."""
        return str(self.json.get("code", ""))


@dataclass
class Order:
    """One request. `key` stays the same however often it is sent."""

    method: str
    path: str
    token: str
    body: dict[str, Any] | None = None
    key: str = field(default_factory=lambda: uuid4().hex)

    async def send(self, http: httpx.AsyncClient) -> Answer:
        """Send it once. Raises httpx.HTTPError."""
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": self.key}
        found = await http.request(self.method, self.path, json=self.body, headers=headers)
        return Answer(found.status_code, found.content)


class Repeatable(Protocol):
    """What is sent until it is answered."""

    method: str
    path: str

    async def send(self, http: httpx.AsyncClient) -> Answer:
        """Send it once."""
        ...


async def answered(http: httpx.AsyncClient, order: Repeatable, within: float = 15.0) -> Answer:
    """Repeat an order until it is answered for good. Fails when one call of it is not answered in time at all."""
    until = time.monotonic() + within
    seen = "nothing"
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            found = await order.send(http)
        except httpx.HTTPError as error:
            seen = repr(error)
        else:
            if found.status not in UNANSWERED:
                return found
            assert found.code, f"an answer without a code: {found}"
            seen = f"{found.status} {found.code}"
        took = time.monotonic() - began
        assert took < _ONE_CALL + OVERDUE, f"{order.method} {order.path} took {took:.1f} s: {seen}"
        await asyncio.sleep(_PAUSE)
    raise AssertionError(f"{order.method} {order.path} was not answered in {within} s; last: {seen}")
