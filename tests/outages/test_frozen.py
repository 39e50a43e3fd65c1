"""One process of each kind stands still for eight seconds and goes on: calls are answered meanwhile, afterwards all is as it was."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from contracts.actor import Actor
from services.cli.participant.participant import Participant
from services.testing.system import System
from tests.flows.people import opus
from tests.outages.calls import Caller, Order, first_good, told
from tests.outages.crowd import Crowd, Seat, moves
from tests.outages.private import OwnServices, frozen
from tests.outages.traffic import Traffic, traffic
from tests.outages.watching import watched
from tests.truth import tool

FOR = 8.0
BACK_WITHIN = 4.0
"""Whoever stood still finds its connections to the broker given up, by itself or by the broker, and makes new ones first."""


async def freeze(stage: "Stage", *pids: int, orders: Iterator[Order] | None = None) -> Traffic:
    """Freeze processes under traffic; the call that goes on meanwhile is seen and heard, and commands are carried out soon after."""
    caller, crowd = stage.caller, stage.crowd
    async with watched(stage.ravi) as seen, crowd.read() as reader:
        async with traffic(caller, orders or map(crowd.produce, itertools.cycle(crowd.seats))) as sent:
            with frozen(*pids):
                await asyncio.sleep(FOR)
            before = dict(caller.refused)
            back = await first_good(caller, crowd.probes(stage.probe), within=15)
        await reader.has_all(await crowd.head(crowd.meetings[0]))
    stood = {kind: f"{longest:.2f} s" for kind, longest in seen.stood.items()}
    told({"sent": len(sent.orders), "refused meanwhile": before, "back after": f"{back:.2f} s", "media stood": stood})
    seen.flowed()
    assert back <= BACK_WITHIN
    return sent


class Stage:
    """What each of these tests needs."""

    def __init__(self, hurt: System, services: OwnServices, crowd: Crowd, caller: Caller, ravi: Participant) -> None:
        self.hurt, self.services, self.crowd, self.caller, self.ravi = hurt, services, crowd, caller, ravi
        self.probe: Seat = crowd.seats[0]


@pytest.fixture
async def stage(hurt: System, services: OwnServices, crowd: Crowd, caller: Caller, ravi: Participant) -> Stage:
    """A crowd that is seated, and a call that goes on."""
    await crowd.gather(capacity=180)
    return Stage(hurt, services, crowd, caller, ravi)


async def test_a_gateway_and_a_kendra_stand_still(stage: Stage) -> None:
    """The others carry on; a client whose gateway is silent asks the next one."""
    before, stage.caller.urls = await moves(stage.hurt), stage.hurt.urls[1:]
    sent = await freeze(stage, stage.hurt.pid("gateway-1"), stage.hurt.pid("kendra-1"))
    await stage.crowd.agree(sent.answers, sent.orders)
    stage.caller.urls = stage.hurt.urls[:1]
    await stage.caller.until_done(stage.crowd.produce(stage.probe), within=2)
    assert await moves(stage.hurt) == before


@pytest.mark.parametrize("service", ["postgres", "rabbitmq"])
async def test_a_service_stands_still(stage: Stage, service: str) -> None:
    """That is nobody's death: no meeting moves."""
    before = await moves(stage.hurt)
    sent = await freeze(stage, stage.services.pid(service))
    await stage.crowd.agree(sent.answers, sent.orders)
    assert await moves(stage.hurt) == before


async def test_a_media_server_and_redis_stand_still(stage: Stage) -> None:
    """No call fails for Redis. The media server's meetings move; it learns that, refuses what comes late and keeps nothing of them."""
    hurt, crowd = stage.hurt, stage.crowd
    before = await where(hurt, *crowd.meetings, stage.ravi.meeting)
    server = next(one for one in hurt.servers if one != before[stage.ravi.meeting].server)
    theirs = [seat for seat in crowd.seats if before[seat.meeting].server == server]
    others = [seat for seat in crowd.seats if before[seat.meeting].server != server]
    boot = before[theirs[0].meeting].boot
    stage.probe = others[0]
    names = (f"late{number}" for number in itertools.count())
    joins = (join_order(hurt, seat.meeting, next(names)) for seat in itertools.cycle(theirs))
    unhurt = Caller(*hurt.urls)

    late = asyncio.create_task(ask_late(hurt, f"media.{server}.{boot}.commands", theirs))
    async with traffic(unhurt, map(crowd.produce, itertools.cycle(others))) as sent:
        await freeze(stage, hurt.pid(server), stage.services.pid("redis"), orders=joins)

    await crowd.agree(sent.answers, sent.orders)
    assert unhurt.refused == {}
    now = await where(hurt, *crowd.meetings, stage.ravi.meeting)
    assert {meeting: (place.epoch, place.server == server) for meeting, place in now.items()} == {
        meeting: (place.epoch + (place.server == server), False) for meeting, place in before.items()
    }
    answers = await late
    told({"answers of the woken": Counter(answers), "it lives": hurt.running.children[server].running})
    assert set(answers) <= {"media_server_unavailable", "stale_epoch", None}
    assert any(answers), "nobody was refused: nothing was shown"
    if not hurt.running.children[server].running:
        await hurt.start(server)
    await unhurt.close()


@dataclass(frozen=True)
class Place:
    """Where a meeting lives."""

    server: str
    boot: str
    epoch: int


async def where(hurt: System, *meetings: str) -> dict[str, Place]:
    """Return where meetings live."""
    found = await hurt.postgres.fetch(
        "select meeting, server, boot, epoch from meetings where meeting = any($1)", meetings
    )
    return {row["meeting"]: Place(row["server"], row["boot"], row["epoch"]) for row in found}


def join_order(hurt: System, meeting: str, name: str) -> Order:
    """Return somebody's order for a seat."""
    body = {"participantId": name, "instanceId": f"{name}-1"}
    return Order(f"/v1/meetings/{meeting}/join", hurt.token(), body)


async def ask_late(hurt: System, queue: str, seats: list[Seat]) -> list[str | None]:
    """Ask a server that stands still to produce in meetings that it has lost; return what each was answered: a code, or nothing."""
    await asyncio.sleep(FOR - 1)
    async with tool(hurt) as asker:

        async def ask(seat: Seat) -> str | None:
            body = {"transportId": seat.transport, "kind": "audio", "rtpParameters": opus(7)}
            actor = Actor(participant=seat.name, instance=f"{seat.name}-1", seat=seat.number)
            headers = {"meeting": seat.meeting, "epoch": 1, "actor": actor.model_dump_json(by_alias=True)}
            try:
                answer = await asker.ask(queue, "CreateProducer", body, within=5, **headers)
            except TimeoutError:
                return None
            return str(answer.body.get("code", answer.type))

        return list(await asyncio.gather(*map(ask, seats)))
