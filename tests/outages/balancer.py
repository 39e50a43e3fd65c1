"""Clients behind a load balancer: a new connection goes to a gateway that says it is ready, a kept one is used until it is closed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.cli.stack.readiness import status_of
from tests.outages.calls import Caller

LOOKS_EACH = 0.2


class Balancer:
    """Knows which gateways are ready, as of its last look."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = urls
        self.ready = list(urls)

    async def look(self) -> None:
        """Ask each gateway again and again, as load balancers do."""
        while True:
            said = await asyncio.gather(*(status_of(f"{url}/readyz") for url in self._urls))
            ready = [url for url, (status, _) in zip(self._urls, said, strict=True) if status == 200]
            self.ready[:] = ready or self._urls
            await asyncio.sleep(LOOKS_EACH)


@asynccontextmanager
async def balanced(urls: list[str]) -> AsyncIterator[Caller]:
    """Give a caller behind a load balancer."""
    balancer, caller = Balancer(urls), Caller()
    caller.urls = balancer.ready
    looking = asyncio.create_task(balancer.look())
    try:
        yield caller
    finally:
        looking.cancel()
        await caller.close()
