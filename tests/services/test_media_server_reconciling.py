"""The reconciler against real rows: each kind of drift is found, counted, repaired and told; and what is sound is left alone."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection

import pytest
from hypothesis import HealthCheck, Phase, given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from contracts.failure import KendraError
from services.media_server.drift import Drift, Finding
from services.media_server.main import MediaServer
from services.media_server.metrics import DRIFT
from services.testing.session import Broker, Session
from tests.eventually import eventually
from tests.services.media_server_drift import INJECTIONS, Scene, moved_where_lost, scene
from tests.services.media_server_peers import Meeting, Stage, staged
from tests.services.test_media_server_chaos import KILL_ONE, Person

LOST = {Drift.ROUTER_WITHOUT_ROW, Drift.ROW_WITHOUT_ROUTER, Drift.ROUTER_DEAD}
UNTOLD = {*LOST, Drift.ROUTER_NOT_WANTED, Drift.ROUTER_UNKNOWN, Drift.EARLIER_BOOT, Drift.PRODUCER_PAUSED}
UNTOLD |= {Drift.CONSUMER_PAUSED}
TOLD = {"transport": "TransportClosed", "producer": "ProducerClosed", "consumer": "ConsumerClosed"}


@pytest.fixture(scope="module")
async def stage(session: Session, rabbitmq: Broker) -> AsyncIterator[Stage]:
    async with session.database() as database, staged(database, rabbitmq) as opened:
        yield opened


@pytest.fixture(scope="module")
async def server(stage: Stage) -> AsyncIterator[MediaServer]:
    started = await stage.start(heartbeat=0.1, reconcile=3600)
    yield started
    await started.stop()


def counted(drift: Drift) -> float:
    return DRIFT.labels(drift.value)._value.get()


async def over(on: Scene) -> None:
    """End the scene; its rows and memory must agree."""
    await moved_where_lost(on)
    await on.stage.end_meetings(on.server)


def test_every_kind_of_drift_can_be_injected() -> None:
    assert set(INJECTIONS) == set(Drift)


@pytest.mark.parametrize("drift", Drift)
async def test_it_is_found_counted_repaired_and_told(stage: Stage, server: MediaServer, drift: Drift) -> None:
    on = await scene(stage, server)
    assert await server.reconciler.sweep() == []
    before, events = counted(drift), len(await on.meeting.events())
    id = await INJECTIONS[drift](on, 0)
    found = await server.reconciler.sweep()
    assert Finding(drift, id) in found
    assert counted(drift) == before + Counter(finding.drift for finding in found)[drift]
    assert await server.reconciler.sweep() == []
    assert bool(server.world.registry.lost) == (drift in LOST)
    if drift not in UNTOLD:
        told = [(type, body) for type, _, body in (await on.meeting.events())[events:]]
        noun = next(noun for noun in TOLD if noun in drift)
        closed = [body[f"{noun}Id"] for type, body in told if type == TOLD[noun]]
        assert closed.count(id) == 1
    elif drift not in LOST:
        assert len(await on.meeting.events()) == events
    await over(on)


async def test_a_lost_router_without_a_row_is_told_of_until_its_meeting_moved(
    stage: Stage, server: MediaServer
) -> None:
    on = await scene(stage, server)
    await INJECTIONS[Drift.ROUTER_WITHOUT_ROW](on, 0)
    assert await server.reconciler.sweep()
    assert await server.reconciler.sweep() == []
    assert server.world.registry.lost
    await on.meeting.wants(None)
    assert await server.reconciler.sweep() == []
    assert not server.world.registry.lost
    await over(on)


injected = st.lists(st.tuples(st.sampled_from(list(Drift)), st.integers(0, 7)), min_size=1, max_size=6)


@hypothesis_settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(injected)
async def test_whatever_drifts_at_once_nothing_is_left_of_it(
    stage: Stage, server: MediaServer, drifts: list[tuple[Drift, int]]
) -> None:
    on = await scene(stage, server)
    note(f"{[drift.value for drift, _ in drifts]}")
    try:
        for drift, which in drifts:
            if drift in {Drift.ROUTER_UNKNOWN, Drift.EARLIER_BOOT} or _has(on, drift):
                await INJECTIONS[drift](on, which)
        traceless = await without_a_trace(on)
        await server.reconciler.sweep()
        assert await server.reconciler.sweep() == []
        if not server.world.registry.lost:
            await tells_the_truth(on.meeting, traceless)
    finally:
        await over(on)


def _has(on: Scene, drift: Drift) -> bool:
    """Say whether there is an object left that this can happen to."""
    if on.room is None or on.room.router.closed:
        return False
    nouns = [noun for noun in TOLD if noun in drift]
    return all(getattr(on.room, f"{noun}s") for noun in nouns)


async def without_a_trace(on: Scene) -> set[str]:
    """Return the producers that two drifts together took out of the rows, our lists and the library: nothing is left that could be missed."""
    rows = {
        row["id"] for row in await on.meeting.rows.fetch("select id from producers where meeting = $1", on.meeting.id)
    }
    listed = set() if on.room is None else {*on.room.producers, *on.room.router.producers}
    told = {body["producerId"] for type, _, body in await on.meeting.events() if type == "ProducerCreated"}
    return told - rows - listed


async def tells_the_truth(meeting: Meeting, traceless: Collection[str] = ()) -> None:
    """Check the log against the rows: what was told to be there and not to be closed is there, and nothing closed twice.

    What is lost, or elsewhere, is ended by the move.
    """
    events = await meeting.events()
    made = Counter(body["producerId"] for type, _, body in events if type == "ProducerCreated")
    gone = Counter(body["producerId"] for type, _, body in events if type == "ProducerClosed")
    assert not gone - made
    current = "meeting = $1 and epoch = (select epoch from event_heads where meeting = $1)"
    rows = await meeting.rows.fetch(f"select id from producers where {current}", meeting.id)  # noqa: S608
    room = await meeting.rows.fetchval(f"select count(*) from allocations where {current}", meeting.id)  # noqa: S608
    if room:
        assert set((made - gone).elements()) - set(traceless) == {row["id"] for row in rows}


async def test_commands_closings_and_moves_are_no_drift_even_while_backends_die(
    stage: Stage, server: MediaServer
) -> None:
    """Sweeps run all the while; a sweep that cannot end is begun again, and none may find anything."""
    meetings = [await stage.meeting(server) for _ in range(6)]
    people = [Person(meeting, f"person-{n}", 10 + n, 7 * n + m) for m, meeting in enumerate(meetings) for n in range(3)]
    coming = asyncio.create_task(coming_and_going(stage, server))
    acting = asyncio.gather(coming, *(person.act(20) for person in people))
    found: list[Finding] = []
    sweeps = 0
    while not acting.done():
        await asyncio.wait([acting], timeout=0.02)
        try:
            found += await server.reconciler.sweep()
            sweeps += 1
        except KendraError:
            continue
        if coming.done() and sweeps % 3 == 0:
            await stage.backends.fetch(KILL_ONE)
    await acting
    assert found == []
    assert sweeps >= 5
    assert await server.reconciler.sweep() == []
    await stage.end_meetings(server)


async def coming_and_going(stage: Stage, server: MediaServer) -> None:
    """Make meetings and move them away meanwhile."""
    for _ in range(8):
        meeting = await stage.meeting(server)
        transport = await meeting.transport("send")
        await meeting.produce(transport.id)
        await meeting.wants(None)


async def test_it_sweeps_when_the_database_is_back(stage: Stage, server: MediaServer) -> None:
    on = await scene(stage, server)
    before = counted(Drift.ROUTER_DEAD)
    await INJECTIONS[Drift.ROUTER_DEAD](on, 0)
    await stage.rows.execute("create rule nothing as on update to media_servers do instead select 1/0")
    await eventually(lambda: _late(server))
    await stage.rows.execute("drop rule nothing on media_servers")

    async def swept() -> bool:
        return counted(Drift.ROUTER_DEAD) == before + 1

    await eventually(swept)
    await over(on)


async def test_it_sweeps_again_and_again_by_itself(
    stage: Stage, server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.reconciler, "_each", 0.2)
    server.reconciler.soon()
    for _ in range(2):
        on = await scene(stage, server)
        before = counted(Drift.ROUTER_DEAD)
        await INJECTIONS[Drift.ROUTER_DEAD](on, 0)

        async def swept(before: float = before) -> bool:
            return counted(Drift.ROUTER_DEAD) == before + 1

        await eventually(swept)
        await over(on)


async def _late(server: MediaServer) -> bool:
    return not server._reporting._well
