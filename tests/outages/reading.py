"""A reader of a meeting's events that comes back with the last id it saw, as a browser does, and remembers everything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx2 as httpx

from tests.eventually import eventually

SILENCE = 3.0
"""A stream that says nothing for so long, seconds, has lost its gateway: here each says something every second."""
AGAIN = 0.1


class Reader:
    """Reads one meeting from its first event on. `urls` are the gateways, one after the other; `streams` counts those that were opened."""

    def __init__(self, urls: list[str], meeting: str, token: str) -> None:
        self._urls, self._meeting, self._token = urls, meeting, token
        self.sequences: list[int] = []
        self.gaps: list[int] = []
        self.streams = self._tries = 0

    async def follow(self) -> None:
        """Read until cancelled."""
        timeout = httpx.Timeout(SILENCE)
        async with httpx.AsyncClient(timeout=timeout) as http:
            while True:
                self._tries += 1
                with suppress(httpx.HTTPError):
                    await self._stream(http, self._urls[self._tries % len(self._urls)])
                await asyncio.sleep(AGAIN)

    async def _stream(self, http: httpx.AsyncClient, url: str) -> None:
        headers = {"Authorization": f"Bearer {self._token}", "Last-Event-ID": str(self.seen)}
        async with http.stream("GET", f"{url}/v1/meetings/{self._meeting}/events", headers=headers) as answer:
            if answer.status_code != 200:
                return
            self.streams += 1
            name = ""
            async for line in answer.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "id":
                    (self.gaps if name == "gap" else self.sequences).append(int(value))

    @property
    def seen(self) -> int:
        """The last id that it saw."""
        return max((0, *self.sequences, *self.gaps))

    async def has_all(self, up_to: int, within: float = 10.0) -> None:
        """Wait until it saw the event with that number; assert that it saw each once, in order, without a gap."""

        async def there() -> bool:
            return self.seen >= up_to

        await eventually(there, within=within)
        assert self.gaps == []
        assert self.sequences == list(range(1, self.seen + 1))


@asynccontextmanager
async def reading(urls: list[str], meeting: str, token: str) -> AsyncIterator[Reader]:
    """Have a meeting read while inside."""
    reader = Reader(urls, meeting, token)
    task = asyncio.create_task(reader.follow())
    try:
        yield reader
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
