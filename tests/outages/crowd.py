"""A crowd without media: seats with a send transport each, from which producers are made as fast as they are asked for."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from uuid import uuid4

import jwt

from services.testing.system import System
from tests.flows.people import opus
from tests.outages.calls import Answer, Caller, Order
from tests.outages.reading import Reader, reading

MEETINGS, SEATS, MOST_PRODUCERS = 5, 5, 500
"""Meetings of a crowd, seats in each, producers that a meeting may have."""


@dataclass(frozen=True)
class Seat:
    """Somebody who may produce."""

    meeting: str
    name: str
    number: int
    token: str
    transport: str


class Crowd:
    """Seats in several meetings."""

    def __init__(self, system: System, caller: Caller) -> None:
        self._system, self._caller = system, caller
        self._ssrc = itertools.count(100_000)
        self.meetings: list[str] = []
        self.seats: list[Seat] = []

    async def gather(
        self,
        meetings: int = MEETINGS,
        seats: int = SEATS,
        *,
        producers: int = MOST_PRODUCERS,
        capacity: int | None = None,
    ) -> None:
        """Create the meetings and seat everybody with a send transport; `capacity`: participants that a meeting may have."""
        admin = self._system.token()
        names = [f"crowd-{uuid4().hex[:8]}" for _ in range(meetings)]
        size = {"participants": capacity or seats, "producers": producers}
        await self._caller.all_done(Order("/v1/meetings", admin, {"meetingId": one, "capacity": size}) for one in names)
        self.meetings = names
        places = [(meeting, f"p{number}") for meeting in self.meetings for number in range(seats)]
        self.seats = await asyncio.gather(*(self._seat(admin, *place) for place in places))

    async def _seat(self, admin: str, meeting: str, name: str) -> Seat:
        body = {"participantId": name, "instanceId": f"{name}-1"}
        joined = await self._caller.until_done(Order(f"/v1/meetings/{meeting}/join", admin, body))
        token = str(joined.body["participantToken"])
        path = f"/v1/meetings/{meeting}/participants/{name}/transports"
        transport = await self._caller.until_done(Order(path, token, {"direction": "send"}))
        return Seat(meeting, name, seat_of(token), token, str(transport.body["id"]))

    def produce(self, seat: Seat) -> Order:
        """Return the order for one more producer of somebody."""
        key = uuid4().hex
        parameters = opus(next(self._ssrc))
        body = {"transportId": seat.transport, "kind": "audio", "rtpParameters": parameters, "appData": {"key": key}}
        return Order(f"/v1/meetings/{seat.meeting}/participants/{seat.name}/producers", seat.token, body, key=key)

    def orders(self, number: int) -> list[Order]:
        """Return orders for so many producers, of everybody in turn."""
        return [self.produce(seat) for seat in itertools.islice(itertools.cycle(self.seats), number)]

    def probes(self, seat: Seat | None = None) -> Iterator[Order]:
        """Return endless orders for producers: to see when the service is back."""
        return (self.produce(seat or self.seats[0]) for _ in itertools.count())

    def read(self) -> AbstractAsyncContextManager[Reader]:
        """Have the first meeting's events read while inside."""
        return reading(self._system.urls, self.meetings[0], self._system.token())

    async def head(self, meeting: str) -> int:
        """Return the number of the meeting's last event."""
        head = await self._system.postgres.fetchval("select head from event_heads where meeting = $1", meeting)
        assert isinstance(head, int)
        return head

    async def agree(self, made: list[Answer], orders: list[Order]) -> None:
        """Assert that each order made one producer: one answer, one row, one event; and that no key of any order made two."""
        ids, keys = sorted(str(answer.body["id"]) for answer in made), {order.key for order in orders}
        assert len(set(ids)) == len(ids) == len(keys)
        rows = await self._system.postgres.fetch(
            "select id, app_data ->> 'key' as key from producers where meeting = any($1)", self.meetings
        )
        told = await self._system.postgres.fetch(
            "select body ->> 'producerId' as id, body -> 'appData' ->> 'key' as key from events"
            " where type = 'ProducerCreated' and meeting = any($1)",
            self.meetings,
        )
        for found in (rows, told):
            assert max(Counter(row["key"] for row in found).values()) == 1
            assert sorted(row["id"] for row in found if row["key"] in keys) == ids

    async def go(self) -> None:
        """End the meetings."""
        ends = (Order(f"/v1/meetings/{one}", self._system.token(), {}, "DELETE") for one in self.meetings)
        await self._caller.all_done(ends)


def seat_of(token: str) -> int:
    """Return the seat that a participant token says."""
    return int(jwt.decode(token, options={"verify_signature": False})["seat"])


async def moves(system: System) -> int:
    """Return how often any meeting moved."""
    found = await system.postgres.fetchval("select count(*) from events where type = 'MeetingMoved'")
    assert isinstance(found, int)
    return found
