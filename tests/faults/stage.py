"""A meeting made ready for one flow: whoever must sit there sits, what must be there is there. No media flows: signalling is what breaks."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2 as httpx
import jwt

from services.testing.system import TENANT, System
from tests.faults.caller import Answer, Order, answered
from tests.faults.losing import Losing
from tests.faults.reader import Reader
from tests.truth import Seen
from tests.truth.seen import Entry, Key

SENDER, WITNESS, NEWCOMER = "asha", "ravi", "mira"
SERVER = "media-server-1"
_OWNED = {
    "send": (SENDER, "transports"),
    "recv": (WITNESS, "transports"),
    "producer": (SENDER, "producers"),
    "consumer": (WITNESS, "consumers"),
}
"""Whose each thing is, and under which name it is found."""
OPUS: dict[str, Any] = {
    "codecs": [{"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}],
    "encodings": [{"ssrc": 1111}],
    "rtcp": {"cname": "nobody listens"},
}
DTLS: dict[str, Any] = {
    "role": "client",
    "fingerprints": [{"algorithm": "sha-256", "value": ":".join(f"{byte:02X}" for byte in range(32))}],
}


@dataclass
class Stage:
    """One meeting. `tokens` by participant, `ids` of what was made in it."""

    system: System
    http: httpx.AsyncClient
    meeting: str = field(default_factory=lambda: f"f-{uuid4().hex[:10]}")
    tokens: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    reader: Reader | None = None
    reads_as: str = ""
    undo: list[Order] = field(default_factory=list)
    """What must be ordered at the end, for other meetings' sake."""

    @property
    def key(self) -> Key:
        """The meeting as the checker names it."""
        return Key(TENANT, self.meeting)

    @property
    def path(self) -> str:
        """The meeting's path."""
        return f"/v1/meetings/{self.meeting}"

    def of(self, participant: str) -> str:
        """The path of what belongs to a participant."""
        return f"{self.path}/participants/{participant}"

    def admin(self) -> str:
        """A token that may do everything in the meeting."""
        return self.system.token(meeting=self.meeting)

    def creation(self) -> Order:
        """The order that creates the meeting."""
        body = {"meetingId": self.meeting, "capacity": {"participants": 4, "producers": 4}}
        return Order("POST", "/v1/meetings", self.admin(), body)

    def joining(self, participant: str) -> Order:
        """The order with which a new instance of a participant joins, known by its own access token."""
        body = {"participantId": participant, "instanceId": uuid4().hex}
        token = self.system.token(meeting=self.meeting, grants=["join", "produce", "consume"], sub=participant)
        return Order("POST", f"{self.path}/join", token, body)

    def transport(self, participant: str, direction: str) -> Order:
        """The order for a new transport."""
        return self.order("POST", f"{self.of(participant)}/transports", participant, {"direction": direction})

    def order(self, method: str, path: str, participant: str, body: dict[str, Any] | None = None) -> Order:
        """An order in a participant's name."""
        return Order(method, path, self.tokens[participant], body)

    def about(self, thing: str, verb: str, body: dict[str, Any] | None = None) -> Order:
        """The order of its owner that something be done to one of `ids`."""
        owner, noun = _OWNED[thing]
        return self.order("POST", f"{self.of(owner)}/{noun}/{self.ids[thing]}/{verb}", owner, body)

    def closing(self, thing: str) -> Order:
        """The order of its owner that one of `ids` be closed."""
        owner, noun = _OWNED[thing]
        return self.order("DELETE", f"{self.of(owner)}/{noun}/{self.ids[thing]}", owner)

    def kicking(self, participant: str) -> Order:
        """The order of an admin that a participant go."""
        return Order("DELETE", self.of(participant), self.admin())

    def draining(self, verb: str = "POST") -> Order:
        """The order of an operator that the media server be emptied; with DELETE, that it be not."""
        return Order(verb, f"/v1/servers/{SERVER}/drain", self.system.token(grants=["operator"]))

    def losing(self) -> Losing:
        """The notice that the meeting's first router is lost."""
        return Losing(self.system, self.meeting, self.ids["router"])

    def producing(self) -> Order:
        """The order for a producer of the sender."""
        body = {"transportId": self.ids["send"], "kind": "audio", "rtpParameters": OPUS}
        return self.order("POST", f"{self.of(SENDER)}/producers", SENDER, body)

    def consuming(self) -> Order:
        """The order for the witness's consumer of it."""
        body = {"producerId": self.ids["producer"], "rtpCapabilities": self._capabilities}
        return self.order("POST", f"{self.of(WITNESS)}/consumers", WITNESS, body)

    async def do(self, order: Order) -> dict[str, Any]:
        """Have an order carried out that nothing disturbs."""
        found = await answered(self.http, order)
        assert found.ok, found
        return found.json

    async def seat(self, *participants: str) -> None:
        """Create the meeting and seat these."""
        await self.do(self.creation())
        for participant in participants:
            joined = await self.do(self.joining(participant))
            self.tokens[participant], self.ids["router"] = joined["participantToken"], joined["routerId"]
            self._capabilities = joined["rtpCapabilities"]

    async def with_transports(self) -> None:
        """Seat the sender with a send transport, the witness with a receive transport."""
        await self.seat(SENDER, WITNESS)
        self.ids["send"] = (await self.do(self.transport(SENDER, "send")))["id"]
        self.ids["recv"] = (await self.do(self.transport(WITNESS, "recv")))["id"]

    async def with_producer(self) -> None:
        """… and the sender sends."""
        await self.with_transports()
        self.ids["producer"] = (await self.do(self.producing()))["id"]

    async def with_consumer(self) -> None:
        """… and the witness receives."""
        await self.with_producer()
        self.ids["consumer"] = (await self.do(self.consuming()))["id"]

    async def with_paused_producer(self) -> None:
        """… or sends, but has paused it."""
        await self.with_producer()
        await self.do(self.about("producer", "pause"))

    async def with_resumed_consumer(self) -> None:
        """… and the witness receives, and has resumed it."""
        await self.with_consumer()
        await self.do(self.about("consumer", "resume"))

    async def to_be_drained(self) -> None:
        """Seat the witness; at the end the server takes meetings again."""
        self.undo.append(self.draining("DELETE"))
        await self.seat(WITNESS)

    async def drained(self) -> None:
        """… and have the server be emptied."""
        await self.to_be_drained()
        await self.do(self.draining())

    async def found(self) -> dict[str, Any]:
        """Return the meeting as its reader finds it; nothing when it is over."""
        answer = await answered(self.http, Order("GET", self.path, self.tokens.get(self.reads_as) or self.admin()))
        return answer.json if answer.ok else {}

    async def read(self, whose: str) -> Reader:
        """Follow the events, as a participant from its own join on, as nobody (an admin) from the first."""
        self.reads_as = whose
        token = self.tokens.get(whose) or self.admin()
        after = claims(token)["seat"] if whose else 0
        self.reader = Reader(self.http, self.meeting, token, after)
        await self.reader.follows()
        return self.reader

    async def close(self) -> None:
        """End the meeting, if it runs."""
        if self.reader is not None:
            await self.reader.close()
        for order in self.undo:
            await answered(self.http, order)
        await answered(self.http, Order("DELETE", self.path, self.admin()))

    def log(self, seen: Seen) -> list[Entry]:
        """The meeting's log."""
        return seen.logs.get(self.key, [])

    def here(self, seen: Seen, noun: str) -> set[str]:
        """The ids of a noun's rows in this meeting."""
        return {thing.id for thing in seen.rows[noun] if thing.meeting == self.key}


def claims(token: str) -> dict[str, Any]:
    """Return what a participant token says."""
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def seat_of(answer: Answer) -> int:
    """Return the seat that a join gave."""
    return int(claims(answer.json["participantToken"])["seat"])
