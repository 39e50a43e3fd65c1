"""Commands, repeats and short deadlines while database backends die at random, also inside COMMIT.

Afterwards rows and memory name the same objects, the log tells of exactly those, and no command has two effects or two replies.
"""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import TypeVar
from uuid import UUID, uuid4

import pytest

from contracts.create_producer import CreateProducer
from contracts.failure import KendraError
from contracts.ids import ProducerId, TransportId
from contracts.meeting import Direction
from contracts.message import Command, Reply
from contracts.producers import CloseProducer, PauseProducer, ResumeProducer
from contracts.recreate_transport import ReplaceTransports
from contracts.rtp import Kind
from services.media_server.main import MediaServer
from services.testing.session import Broker, Database
from sfu.plane.seat import IceLost
from tests.services.media_server_peers import TENANT, Meeting, Stage, opus, staged

R = TypeVar("R", bound=Reply)
ACTS = 25
MANY = 10
"""Sessions that must have died, however fast this machine is."""
KILL_ONE = """
    select pg_terminate_backend(pid) from (
        select pid from pg_stat_activity
        where application_name = 'doordarshan media server' and datname = current_database() and state <> 'idle'
        order by random() limit 1
        offset 0
    ) one
"""


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker) -> AsyncIterator[Stage]:
    async with staged(postgres, rabbitmq) as opened:
        yield opened


@pytest.fixture
async def server(stage: Stage) -> AsyncIterator[MediaServer]:
    started = await stage.start()
    yield started
    await started.stop()


class Person:
    """A participant who acts at random, and repeats each command until it is known how it ended."""

    def __init__(self, meeting: Meeting, name: str, seat: int, seed: int) -> None:
        self._meeting, self._who, self._chance = meeting, (name, seat), random.Random(seed)
        self._transport: TransportId | None = None
        self._producers: list[ProducerId] = []
        self._numbers = itertools.count()
        self.replies: dict[UUID, set[str]] = {}

    async def act(self, times: int) -> None:
        """Do some things, one after the other."""
        for _ in range(times):
            choice = self._chance.random()
            if self._transport is None or choice < 0.1:
                await self._recreate()
            elif choice < 0.15:
                self._lose(self._transport)
            elif choice < 0.65 or not self._producers:
                await self._produce(self._transport)
            else:
                await self._change()

    async def _recreate(self) -> None:
        answer = await self._until_known(ReplaceTransports(direction=Direction.SEND, old=[]))
        self._transport = answer.id if answer else None
        self._producers.clear()

    async def _produce(self, transport: TransportId) -> None:
        order = CreateProducer(transport_id=transport, kind=Kind.AUDIO, rtp_parameters=opus(next(self._numbers)))
        if answer := await self._until_known(order):
            self._producers.append(answer.id)

    async def _change(self) -> None:
        kind = self._chance.choice([CloseProducer, PauseProducer, ResumeProducer])
        await self._until_known(kind(producer_id=self._chance.choice(self._producers)))

    def _lose(self, transport: TransportId) -> None:
        """Let the consent run out, without an order."""
        room = self._meeting.server.world.registry.rooms[TENANT, self._meeting.id]
        if transport in room.transports:
            room.transports[transport].media.plane_event(IceLost(transport))

    async def _until_known(self, order: Command[R]) -> R | None:
        """Return the reply, or None if the command was refused for good. Some are sent twice at once, some have no time."""
        id = uuid4()
        while True:
            budget = self._chance.choice([0.02, 0.1, 3.0])
            times = 2 if self._chance.random() < 0.3 else 1
            asks = (self._meeting.ask(order, *self._who, id=id, budget=budget) for _ in range(times))
            outcomes = await asyncio.gather(*asks, return_exceptions=True)
            answers = [one for one in outcomes if not isinstance(one, BaseException)]
            self.replies.setdefault(id, set()).update(answer.model_dump_json() for answer in answers)
            if answers:
                return answers[0]
            for one in outcomes:
                assert isinstance(one, KendraError), one
                if not one.retryable:
                    return None


async def test_rows_memory_and_the_log_agree_after_backends_died_at_random(stage: Stage, server: MediaServer) -> None:
    meetings = [await stage.meeting(server) for _ in range(4)]
    people = [Person(meeting, f"person-{n}", 10 + n, 7 * n + m) for m, meeting in enumerate(meetings) for n in range(2)]
    killed = 0
    while killed <= MANY:
        acting = asyncio.gather(*(person.act(ACTS) for person in people))
        while not acting.done():
            killed += len(await stage.backends.fetch(KILL_ONE))
            await asyncio.wait([acting], timeout=0.05)
        await acting
    live = await stage.agree(server)
    assert [seen for person in people for seen in person.replies.values() if len(seen) > 1] == []
    for meeting in meetings:
        events = await meeting.events()
        made = Counter(body["producerId"] for type, _, body in events if type == "ProducerCreated")
        gone = Counter(body["producerId"] for type, _, body in events if type == "ProducerClosed")
        assert set((made + gone).values()) <= {1, 2}
        assert max(made.values()) == 1
        assert not gone - made
        producers = await meeting.rows.fetch("select id from producers where meeting = $1", meeting.id)
        assert set((made - gone).elements()) == {row["id"] for row in producers} <= live
    replied = [reply for person in people for seen in person.replies.values() for reply in seen if '"id"' in reply]
    assert len(replied) == len(set(replied))
