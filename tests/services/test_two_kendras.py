"""Two kendras and a media server, all real: commands of one meeting at once, whoever carries them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.actor import Actor
from contracts.create_producer import CreateProducer
from contracts.failure import DeadlineExceeded
from contracts.ids import ProducerId, TransportId
from contracts.meeting import Direction
from contracts.recreate_transport import RecreateTransport
from contracts.rtp import Kind
from services.kendra.main import Kendra
from services.media_server.main import MediaServer
from services.media_server.once import Once
from services.testing.session import Broker, Cache, Database
from tests.services import kendra_peers, media_server_peers
from tests.services.kendra_peers import holder
from tests.services.media_server_peers import opus

PEOPLE, EACH = 10, 5
"""A seat may have eight commands waiting."""


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker, redis: Cache) -> AsyncIterator[kendra_peers.Stage]:
    async with kendra_peers.staged(postgres, rabbitmq, redis) as opened:
        await opened.kendra()
        await opened.kendra()
        yield opened


@pytest.fixture
async def media(postgres: Database, rabbitmq: Broker) -> AsyncIterator[tuple[media_server_peers.Stage, MediaServer]]:
    async with media_server_peers.staged(postgres, rabbitmq) as opened:
        server = await opened.start()
        yield opened, server
        await server.stop()


def count_asks(kendra: Kendra, asks: Counter[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Count what a kendra has its media servers do."""
    ask = kendra.world.media.ask

    async def counted(*arguments: Any) -> Any:
        asks[id(kendra)] += 1
        return await ask(*arguments)

    monkeypatch.setattr(kendra.world.media, "ask", counted)


class AtWork:
    """How many commands of a meeting are carried out at this moment, and the most that ever were."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now: Counter[str] = Counter()
        self.most = self.done = 0
        original = Once._first_or_again
        seen = self

        async def noted(once: Once, call: Any, reply: Any, work: Callable[[], Coroutine[None, None, Any]]) -> Any:
            seen.now[call.meeting] += 1
            seen.most = max(seen.most, seen.now[call.meeting])
            try:
                return await original(once, call, reply, work)
            finally:
                seen.now[call.meeting] -= 1
                seen.done += 1

        monkeypatch.setattr(Once, "_first_or_again", noted)


async def test_fifty_commands_of_one_meeting_are_done_once_one_at_a_time_and_none_is_lost(
    stage: kendra_peers.Stage,
    media: tuple[media_server_peers.Stage, MediaServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await stage.create("standup", participants=PEOPLE, producers=PEOPLE * EACH)
    seats = [holder(await stage.join("standup", f"p{number}")) for number in range(PEOPLE)]

    async def transport_of(seat: Actor) -> TransportId:
        return (await stage.ask(RecreateTransport(direction=Direction.SEND), "standup", seat)).id

    transports = await asyncio.gather(*map(transport_of, seats))
    asks, at_work = Counter[int](), AtWork(monkeypatch)
    for kendra in stage.kendras:
        count_asks(kendra, asks, monkeypatch)

    async def produce(number: int, command: UUID) -> ProducerId:
        seat = number % PEOPLE
        order = CreateProducer(transport_id=transports[seat], kind=Kind.AUDIO, rtp_parameters=opus(number))
        while True:
            with suppress(DeadlineExceeded):  # on a busy machine: a client repeats with the same key
                return (await stage.ask(order, "standup", seats[seat], id=command)).id

    commands = [uuid4() for _ in range(PEOPLE * EACH)]
    repeats = list(enumerate(commands))[::5]
    async with asyncio.timeout(60):
        made = await asyncio.gather(*(produce(*one) for one in (*enumerate(commands), *repeats)))

    assert len(set(made)) == len(commands)
    assert made[len(commands) :] == [made[number] for number, _ in repeats]
    assert at_work.most == 1
    assert at_work.done >= len(commands)
    assert [asks[id(kendra)] > 0 for kendra in stage.kendras] == [True, True]
    rows = {row["id"] for row in await stage.rows.fetch("select id from producers")}
    assert rows == set(made) <= await media[0].agree(media[1])
    log = await stage.events("standup")
    assert log == [
        (1, "MeetingCreated"),
        *((2 + number, "ParticipantJoined") for number in range(PEOPLE)),
        *((2 + PEOPLE + number, "ProducerCreated") for number in range(PEOPLE * EACH)),
    ]
    await stage.relayed("standup")
