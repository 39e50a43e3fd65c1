"""A meeting and its participants for the flow tests: HTTP in, media through aiortc; what is asked about is asked of the running system."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast
from uuid import uuid4

from services.cli.participant.api import Api, ApiError, JsonObject
from services.cli.participant.media import SIGNATURES
from services.cli.participant.participant import Participant, Received
from services.testing.system import System

OPUS: JsonObject = {
    "codecs": [{"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}],
    "encodings": [{"ssrc": 1111}],
    "rtcp": {"cname": "test"},
}
"""RTP parameters of a producer whose media nobody looks at."""


def opus(ssrc: int) -> JsonObject:
    """Return `OPUS` with an ssrc of its own."""
    return {**OPUS, "encodings": [{"ssrc": ssrc}]}


class Meeting:
    """One meeting, fresh in each test."""

    def __init__(self, system: System) -> None:
        self.system, self.id = system, f"m-{uuid4().hex[:10]}"
        self.path = f"/v1/meetings/{self.id}"
        self.admin = Api(system.url, system.token(meeting=self.id), budget=10)
        self._people: list[Participant] = []

    async def create(self, participants: int = 16, producers: int = 32) -> JsonObject:
        """Create it."""
        return await self.admin.post(
            "/v1/meetings", {"meetingId": self.id, "capacity": {"participants": participants, "producers": producers}}
        )

    def participant(self, name: str) -> Participant:
        """Return somebody who has not joined yet."""
        one = Participant(
            self.system.url,
            self.system.token(meeting=self.id, grants=["join", "produce", "consume"]),
            self.id,
            name,
            SIGNATURES[len(self._people) % len(SIGNATURES)],
        )
        self._people.append(one)
        return one

    async def joined(self, name: str) -> Participant:
        """Return somebody who sits in the meeting."""
        one = self.participant(name)
        await one.join()
        return one

    async def connected(self, name: str) -> Participant:
        """Return somebody who sits in the meeting with both transports connected."""
        one = await self.joined(name)
        await one.connect()
        return one

    async def rows(self, table: str) -> set[str]:
        """Return the ids of the meeting's rows in `transports`, `producers` or `consumers`."""
        found = await self.system.postgres.fetch(f"select id from {table} where meeting = $1", self.id)  # noqa: S608
        return {row["id"] for row in found}

    async def events(self) -> list[tuple[int, str]]:
        """Return the meeting's log: sequence and type."""
        found = await self.system.postgres.fetch(
            "select sequence, type from events where meeting = $1 order by sequence", self.id
        )
        return [(row["sequence"], row["type"]) for row in found]

    async def end(self) -> None:
        """End it, if it runs, and let everybody go."""
        with suppress(ApiError):
            await self.admin.delete(self.path)
        for one in self._people:
            await one.close()
        await self.admin.close()


@asynccontextmanager
async def call_of_two(meeting: Meeting) -> AsyncIterator[tuple[Participant, Participant]]:
    """Asha sends picture and tone; Ravi receives both."""
    await meeting.create()
    asha, ravi = await meeting.connected("asha"), await meeting.connected("ravi")
    await asha.produce()
    for producer in asha.sending:
        await ravi.consume(producer)
    yield asha, ravi


def of_kind(participant: Participant, kind: str) -> Received:
    """Return what a participant receives of a kind, from whoever sends it."""
    return next(one for one in participant.received.values() if one.kind == kind)


async def forwarded(of: Participant, consumer: str) -> int:
    """Return how many packets the server says it sent to a participant for a consumer."""
    stats = await of.api.stats(f"{of.mine}/consumers/{consumer}")
    return sum(cast(int, one["packetCount"]) for one in stats if one["type"] == "outbound-rtp")


async def taken_in(of: Participant, producer: str) -> int:
    """Return how many packets the server says it received of a participant's producer."""
    stats = await of.api.stats(f"{of.mine}/producers/{producer}")
    return sum(cast(int, one["packetCount"]) for one in stats if one["type"] == "inbound-rtp")
