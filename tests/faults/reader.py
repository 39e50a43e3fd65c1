"""A reader of a meeting's events that comes back with the last id it has seen, whenever its stream breaks."""

import asyncio
from contextlib import suppress
from typing import NamedTuple

import httpx2 as httpx

from tests.truth.seen import Entry

_PAUSE = 0.03
GAP = "gap"


class Told(NamedTuple):
    """A server-sent event with a sequence."""

    sequence: int
    type: str


class Reader:
    """Follows one meeting from event `after` on, as whoever the token is."""

    def __init__(self, http: httpx.AsyncClient, meeting: str, token: str, after: int) -> None:
        self._http, self._path = http, f"/v1/meetings/{meeting}/events"
        self._token = token
        self._began_after = self._seen = after
        self.told: list[Told] = []
        self.over = False
        """Whether it came back after the meeting's end: then there is nothing to follow, and that says it."""
        self._follows = asyncio.Event()
        self._task = asyncio.create_task(self._follow(), name=f"reader of {meeting}")

    async def close(self) -> None:
        """Read no more."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def follows(self, within: float = 5.0) -> None:
        """Wait until the stream is open. Raises TimeoutError."""
        async with asyncio.timeout(within):
            await self._follows.wait()

    def differs(self, log: list[Entry], whose: str) -> str:
        """Say how what was read differs from the log as it is for a participant; empty when it does not.

        A gap is a fair answer: what it covers may be missing, but nothing else, and nothing comes twice or out of order.
        """
        mine = [Told(entry.sequence, entry.type) for entry in log if entry.to in {"", whose}]
        expected = [one for one in mine if one.sequence > self._began_after]
        read, covered = [], set[int]()
        before = self._began_after
        for one in self.told:
            if one.type == GAP:
                covered |= set(range(before + 1, one.sequence + 1))
            else:
                read.append(one)
            before = one.sequence
        missing = [one for one in expected if one not in read and one.sequence not in covered]
        if self.over:
            missing = [one for one in missing if one.sequence < self._seen]
            expected = [one for one in expected if one.sequence <= self._seen]
        if not missing and read == [one for one in expected if one.sequence not in covered]:
            return ""
        return f"read {self.told}, expected {expected}"

    async def _follow(self) -> None:
        while True:
            with suppress(httpx.HTTPError):
                await self._read()
            await asyncio.sleep(_PAUSE)

    async def _read(self) -> None:
        headers = {"Authorization": f"Bearer {self._token}", "Last-Event-ID": str(self._seen)}
        timeout = httpx.Timeout(6.0, read=None)
        async with self._http.stream("GET", self._path, headers=headers, timeout=timeout) as answer:
            if not answer.is_success:
                self.over = answer.status_code == 404 and bool(self._seen)
                return
            self._follows.set()
            fields: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line:
                    name, _, value = line.partition(":")
                    fields[name] = value.removeprefix(" ")
                    continue
                if fields.get("id"):
                    self._seen = int(fields["id"])
                    self.told.append(Told(self._seen, fields["event"]))
                fields = {}
