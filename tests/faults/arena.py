"""One running system that every case uses: a gateway, a kendra and a media server, each with a spare at its gate."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2 as httpx

from services.testing.session import Session
from services.testing.system import System, running_system
from tests.eventually import eventually
from tests.faults.stage import Stage
from tests.faults.victims import Victim, setting

NAMES = {"gateway": "gateway-1", "kendra": "kendra-1", "media": "media-server-1"}
_SETTINGS = {"DOORDARSHAN_LEASE": "2", "DOORDARSHAN_HEARTBEAT": "0.3"}


class Arena:
    """The system, who may die in it, and the spares that are being started meanwhile."""

    def __init__(self, system: System, place: Path) -> None:
        self.system = system
        self.victims = {kind: Victim(system, name, place) for kind, name in NAMES.items()}
        self._stages: list[Stage] = []
        self.http = httpx.AsyncClient(base_url=system.url, timeout=10.0)

    def stage(self) -> Stage:
        """Return a meeting that is not there yet."""
        self._stages.append(Stage(self.system, self.http))
        return self._stages[-1]

    async def booked(self) -> bool:
        """Say whether kendra has taken note of the media server: whoever places a meeting before does that first, with a commit more."""
        return bool(await self.system.postgres.fetchval("select exists (select from bookings)"))

    async def close(self) -> None:
        """Let the spares go, and who still reads."""
        for stage in self._stages:
            if stage.reader is not None:
                await stage.reader.close()
        for victim in self.victims.values():
            await victim.send_spare_home()
        await self.http.aclose()


@asynccontextmanager
async def arena(session: Session) -> AsyncIterator[Arena]:
    """Start it."""
    with session.place("faults") as place:
        settings = {name: {**_SETTINGS, **setting(place, name)} for name in NAMES.values()}
        async with running_system(session, media_servers=1, settings=settings) as system:
            made = Arena(system, place)
            await eventually(made.booked)
            try:
                yield made
            finally:
                await made.close()
