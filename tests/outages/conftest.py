"""One system on services of its own, with a live call in it, for all outages; each test leaves it whole."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.cli.participant.participant import Participant
from services.testing.session import Session
from services.testing.system import System, running_system
from tests.flows.people import Meeting, call_of_two
from tests.outages.calls import Caller, told
from tests.outages.crowd import Crowd
from tests.outages.network import Network
from tests.outages.private import OwnServices, own_services
from tests.outages.spares import WAITING, Gates, Spares
from tests.truth import settled

SETTINGS = {
    "gateway": {
        "DOORDARSHAN_RATE_LIMIT_PARTICIPANT": "10000/second",
        "DOORDARSHAN_KEEP_ALIVE": "1",
        "DOORDARSHAN_LEAVING": "1",
    },
    "kendra": {"DOORDARSHAN_LEASE": "4", "DOORDARSHAN_SEAT_UNUSED": "600", "DOORDARSHAN_SEAT_LOST": "600"},
    "media-server": {"DOORDARSHAN_LEASE": "4", "DOORDARSHAN_HEARTBEAT": "0.8", "DOORDARSHAN_CAPACITY": "1000000"},
}
"""A lease that is shorter than what is frozen here is frozen: only a media server's own silence may be its death."""


LINKED = ("gateway-1", "kendra-1", "media-server-1")


@pytest.fixture(scope="package")
async def services(session: Session) -> AsyncIterator[OwnServices]:
    """Services that only the outages use."""
    async with own_services(session) as own:
        yield own


@pytest.fixture(scope="package")
def gates(services: OwnServices) -> Gates:
    """Where kendras wait that take over from one that is killed."""
    return Gates(services.run.path)


@pytest.fixture(scope="package")
async def hurt(services: OwnServices, gates: Gates) -> AsyncIterator[System]:
    """The system that is hurt: two gateways, two kendras (and two more that a test may start), two media servers."""
    settings = SETTINGS | gates.settings()
    async with running_system(services, gateways=2, kendras=4, settings=settings, late=WAITING) as system:
        yield system


@pytest.fixture
async def spares(hurt: System, gates: Gates) -> AsyncIterator[Spares]:
    """Two kendras that serve, and two that wait to take over."""
    found = Spares(hurt, gates)
    await found.begin()
    yield found
    await found.end()


@pytest.fixture(scope="package")
async def ravi(hurt: System) -> AsyncIterator[Participant]:
    """Somebody who sees and hears another, all the time."""
    meeting = Meeting(hurt)
    async with call_of_two(meeting) as (_, watching):
        yield watching
    await meeting.end()


@pytest.fixture
async def caller(hurt: System) -> AsyncIterator[Caller]:
    """A client of both gateways."""
    one = Caller(*hurt.urls)
    yield one
    told({"slowest answer": f"{one.slowest:.2f} s", "refused": one.refused})
    await one.close()


@pytest.fixture
async def crowd(hurt: System, caller: Caller) -> AsyncIterator[Crowd]:
    """A crowd in the hurt system, to be gathered; when the test is over everything must be as it says."""
    one = Crowd(hurt, caller)
    yield one
    await settled(hurt, within=15)
    await one.go()


@pytest.fixture(scope="package")
async def links(services: OwnServices) -> AsyncIterator[Network]:
    """The network of the linked system; it carries everything."""
    one = Network(*LINKED)
    yield one
    await one.close()


@pytest.fixture(scope="package")
async def linked(services: OwnServices, links: Network) -> AsyncIterator[System]:
    """A small system in which every way to Postgres and to the broker may be slow or cut."""
    async with running_system(services, media_servers=1, settings=SETTINGS, late=LINKED, routed=links.routed) as system:
        await links.open()
        await asyncio.gather(*map(system.start, LINKED))
        yield system
