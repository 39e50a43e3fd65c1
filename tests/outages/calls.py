"""Calls over HTTP as an impatient client makes them: one attempt each, timed and judged; repeating is the caller's business."""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import uuid4

import httpx2 as httpx

from services.cli.participant.api import JsonObject

WITHIN = 5.0
"""Whatever is broken, each call is answered in so many seconds."""
REFUSALS = {
    429: {"rate_limited"},
    503: {"busy", "media_server_unavailable", "no_capacity", "unavailable"},
    504: {"deadline_exceeded"},
}
"""What may be answered instead of a success while something is broken; each may be repeated."""


@dataclass(frozen=True)
class Order:
    """One request that may be repeated: by its key it has its effect once."""

    path: str
    token: str
    body: JsonObject
    method: str = "POST"
    key: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True)
class Answer:
    """What came back, and after how long. Status 0: the connection broke, or nobody listens."""

    status: int
    body: JsonObject
    seconds: float
    retry_after: float | None = None

    @property
    def good(self) -> bool:
        """Whether it was carried out."""
        return self.status in {200, 201, 204}

    @property
    def code(self) -> str:
        """The problem's code."""
        return "" if self.good else str(self.body.get("code", "unreachable"))


class Caller:
    """Sends orders. Every answer is a success or a problem that may be repeated, in time; anything else fails the test at once."""

    def __init__(self, *urls: str) -> None:
        self.urls = list(urls)
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
        self._http = httpx.AsyncClient(timeout=WITHIN + 5, limits=limits)
        self._turn = 0
        self.slowest = 0.0
        self.refused: dict[str, int] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def once(self, order: Order) -> Answer:
        """Send an order to the next gateway, once."""
        self._turn += 1
        url = self.urls[self._turn % len(self.urls)]
        began = time.monotonic()
        headers = {"Authorization": f"Bearer {order.token}", "Idempotency-Key": order.key}
        sent = order.body if order.method in {"POST", "PUT"} else None
        try:
            said = await self._http.request(order.method, url + order.path, json=sent, headers=headers)
        except httpx.HTTPError as error:
            answer = Answer(0, {"detail": repr(error)}, time.monotonic() - began)
        else:
            body = json.loads(said.content) if said.content else {}
            after = said.headers.get("Retry-After")
            body = body if isinstance(body, dict) else {"list": body}
            answer = Answer(said.status_code, body, time.monotonic() - began, float(after) if after else None)
        self._judge(order, answer)
        return answer

    async def until_done(self, order: Order, within: float = 30.0) -> Answer:
        """Repeat an order with its key until it is carried out, waiting as long as it is told to (a tenth of it, to save the test's time)."""
        async with asyncio.timeout(within):
            while not (answer := await self.once(order)).good:
                await asyncio.sleep((answer.retry_after or 0.5) / 10)
        return answer

    async def all_done(self, orders: Iterable[Order], at_once: int = 16) -> list[Answer]:
        """Carry out orders, some at a time."""
        slots = asyncio.Semaphore(at_once)

        async def one(order: Order) -> Answer:
            async with slots:
                return await self.until_done(order)

        return await asyncio.gather(*map(one, orders))

    def _judge(self, order: Order, answer: Answer) -> None:
        self.slowest = max(self.slowest, answer.seconds)
        what = f"{order.method} {order.path}: {answer}"
        assert answer.seconds <= WITHIN, what
        if answer.good:
            return
        self.refused[answer.code] = self.refused.get(answer.code, 0) + 1
        assert answer.status in REFUSALS, what
        assert answer.code in REFUSALS[answer.status], what
        assert answer.status == 504 or answer.retry_after is not None, what


async def first_good(caller: Caller, orders: Iterable[Order], within: float) -> float:
    """Send fresh orders one after the other until one is carried out; return after how many seconds that was."""
    began = time.monotonic()
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            for order in orders:
                if (await caller.once(order)).good:
                    return time.monotonic() - began
                await asyncio.sleep(0.02)
    raise AssertionError(f"nothing was carried out for {within} s: {caller.refused}")


def told(figures: Mapping[str, object]) -> None:
    """Show what was measured (pytest -s, and in the report of a failure)."""
    print("measured:", ", ".join(f"{name} {value}" for name, value in figures.items()))
