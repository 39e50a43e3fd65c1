"""Media servers are cut off from the broker, from Postgres, from both: calls are answered, meetings move in time, media flows until then.

All three at once, each with a meeting of its own, beside one that is whole. It is packets that are dropped, where the machine allows it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from uuid import uuid4

import pytest

from services.cli.participant.api import Api, JsonObject
from services.cli.participant.lasting import LastingParticipant
from services.cli.participant.media import SIGNATURES
from services.testing.system import System, running_system
from tests.outages.calls import Caller, Order, told
from tests.outages.network import Link, Network, cut_off
from tests.outages.private import OwnServices
from tests.truth import settled

LEASE, UNHEARD = 3.0, 3.0
SETTINGS = {
    "gateway": {"DOORDARSHAN_KEEP_ALIVE": "1"},
    "kendra": {"DOORDARSHAN_LEASE": str(LEASE)},
    "media-server": {
        "DOORDARSHAN_LEASE": str(LEASE),
        "DOORDARSHAN_HEARTBEAT": "0.5",
        "DOORDARSHAN_UNHEARD": str(UNHEARD),
    },
}
ANSWERED_WITHIN = 2.0
MEASURED_LATE = 0.5
"""What this process, which sends and decodes three calls besides, may add to a single answer, seconds."""
SEEN_WITHIN = 3.0
"""How long after a lease is over the meeting runs elsewhere at the latest, seconds: kendra sees it, moves it, a router is made."""
STILL = 1.5
"""A shorter pause is this machine's, which sends, forwards and decodes three calls besides."""
FENCED_WITHIN = 10.0


WHOLE = "media-server-4"
SIZE: JsonObject = {"participants": 20, "producers": 10}
PAUSE = 0.05
"""How long whoever joins rests between two tries, seconds."""


@dataclass(frozen=True)
class Case:
    """What is cut, and after how long the meeting may move, or a little earlier.

    Its lease was renewed last up to a heartbeat before the cut; the broker is asked each second, and said its last word before it.
    """

    server: str
    broker: bool
    postgres: bool
    lost_after: float
    earlier: float = 1.0

    def links(self, network: Network) -> list[Link]:
        """Return what is cut."""
        return [network.broker[self.server]] * self.broker + [network.postgres[self.server]] * self.postgres


CASES = (
    Case("media-server-1", broker=True, postgres=False, lost_after=UNHEARD + LEASE, earlier=2.0),
    Case("media-server-2", broker=False, postgres=True, lost_after=LEASE),
    Case("media-server-3", broker=True, postgres=True, lost_after=LEASE),
)


@pytest.fixture(scope="module")
async def network(services: OwnServices) -> AsyncIterator[Network]:
    """The network of three media servers; it carries everything."""
    one = Network(*(case.server for case in CASES))
    yield one
    await one.close()


@pytest.fixture(scope="module")
async def cut(services: OwnServices, network: Network) -> AsyncIterator[System]:
    """A system of four media servers, three of which may be cut off and have room for one meeting each; the last is not started yet."""
    names = [case.server for case in CASES]
    settings = SETTINGS | {name: {"DOORDARSHAN_CAPACITY": str(20 * 10)} for name in names}
    async with running_system(
        services, media_servers=4, settings=settings, late=[*names, WHOLE], routed=network.routed
    ) as system:
        await network.open()
        await asyncio.gather(*map(system.start, names))
        yield system


@asynccontextmanager
async def calls(cut: System) -> AsyncIterator[dict[str, LastingParticipant]]:
    """Have asha send to ravi in a meeting on each server; give each ravi, who sees and hears her, by the server."""
    backend = Api(cut.url, cut.token())
    people: list[LastingParticipant] = []
    ravis: dict[str, LastingParticipant] = {}
    for _ in CASES:
        meeting = f"cut-{uuid4().hex[:8]}"
        created = await backend.post("/v1/meetings", {"meetingId": meeting, "capacity": SIZE})
        asha, ravi = (
            LastingParticipant(cut.url, cut.token(meeting=meeting), meeting, name, SIGNATURES[0])
            for name in ("asha", "ravi")
        )
        people += [asha, ravi]
        ravis[str(created["mediaServerId"])] = ravi
        for one in (asha, ravi):
            await one.join()
            await one.connect()
        await asha.produce()
    for ravi in ravis.values():
        await ravi.until(lambda ravi=ravi: set(ravi.seen["asha"].last) == {"audio", "video"}, 10)
    yield ravis
    await asyncio.gather(*(backend.delete(f"/v1/meetings/{ravi.meeting}") for ravi in ravis.values()))
    await asyncio.gather(*(one.close() for one in people))
    await backend.close()


async def test_cut_off_media_servers_lose_their_meetings_in_time_and_nobody_stops_seeing_before(
    cut: System, network: Network
) -> None:
    async with calls(cut) as ravis:
        await cut.start(WHOLE)
        began = time.monotonic()
        async with cut_off(*(link for case in CASES for link in case.links(network))):
            await asyncio.gather(*(answered_and_moved(cut, case, ravis[case.server].meeting, began) for case in CASES))
            for case in CASES:
                ravi = ravis[case.server]
                await ravi.until(lambda ravi=ravi: bool(ravi.moves) and seen_since(ravi, ravi.moves[0].at), 15)
                flowed_until_moved(case, ravi, began)
        ended = asyncio.gather(*(cut.running.children[case.server].wait() for case in CASES))
        await asyncio.wait_for(ended, FENCED_WITHIN)
        await settled(cut, within=10)
        assert [len(ravi.moves) for ravi in ravis.values()] == [1, 1, 1]


async def answered_and_moved(cut: System, case: Case, meeting: str, before: float) -> None:
    """Have somebody join again and again: each answer comes soon, and the first from elsewhere when the lease was over.

    The cut was made between `before` and now.
    """
    caller, began = Caller(cut.url), time.monotonic()
    refused: list[float] = []
    token = cut.token(meeting=meeting, grants=["join"], sub="late")
    while True:
        body = {"participantId": "late", "instanceId": "1"}
        answer = await caller.once(Order(f"/v1/meetings/{meeting}/join", token, body))
        answered_at = time.monotonic()
        if answer.good and answer.body["epoch"] == 2:
            break
        assert answer.good or answer.code == "media_server_unavailable", answer
        refused += [] if answer.good else [answer.seconds]
        await asyncio.sleep(PAUSE)
    told(
        {
            "cut": case,
            "moved after": f"{answered_at - before:.2f} s, the cut took {began - before:.2f} s of it",
            "slowest": f"{max(refused, default=0.0):.2f} s",
            **caller.refused,
        }
    )
    assert case.lost_after - case.earlier <= answered_at - before
    assert answered_at - began <= case.lost_after + SEEN_WITHIN
    assert median(refused) <= ANSWERED_WITHIN, refused
    assert max(refused) <= ANSWERED_WITHIN + MEASURED_LATE, refused
    await caller.close()


def seen_since(ravi: LastingParticipant, when: float) -> bool:
    """Say whether pictures came by way of the new router."""
    return ravi.epoch == 2 and ravi.seen["asha"].last["video"] > when + 1.0


def flowed_until_moved(case: Case, ravi: LastingParticipant, since: float) -> None:
    """Assert that pictures and sound stood still only after it was told that the meeting moved."""
    moved = ravi.moves[0].at
    pauses = [(kind, at - moved, long) for kind, at, long in ravi.seen["asha"].pauses if at >= since]
    told({"cut": case.server, "pauses (kind, after the move, seconds)": pauses})
    assert [one for one in pauses if one[1] < -0.5 and one[2] > STILL] == []
