"""A meeting's history against its tables: whatever happens, the log says of each instant what the tables said then."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from services.cli.stack.errors import CannotRun
from services.testing.session import Broker, Session
from tests.services import kendra_peers, media_server_peers
from tests.services.history_walk import Walk
from tests.services.kendra_peers import Stage

PEOPLE = ("asha", "ravi", "meera")
NUMBERS = count(1)
SEEN = Counter[str]()


@pytest.fixture(scope="module")
async def stage(session: Session, rabbitmq: Broker) -> AsyncIterator[Stage]:
    """A kendra and two media servers, all real, for all walks."""
    async with session.database() as database:
        cache = await session.cache()
        async with (
            media_server_peers.staged(database, rabbitmq) as media,
            kendra_peers.staged(database, rabbitmq, cache) as opened,
        ):
            servers = [await media.start(server=name) for name in ("ms1", "ms2")]
            await opened.kendra()
            yield opened
            for server in servers:
                await server.stop()


def of_somebody(who: str) -> st.SearchStrategy[tuple[Any, ...]]:
    """Return what may happen to a participant; what makes things is likelier than what ends them."""
    named, flag = st.just(who), st.booleans()
    return st.one_of(
        st.tuples(st.just("join"), named, st.sampled_from(["1", "2"]), st.sampled_from([None, f"{who.title()} ✓"])),
        st.tuples(st.just("produce"), named, flag),
        st.tuples(st.sampled_from(["pause", "resume"]), named),
        st.tuples(st.sampled_from(["close", "transport", "close_transport"]), named),
        st.tuples(st.sampled_from(["leave", "kick"]), named),
    )


SOME = st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=3, unique=True)
TO_PEOPLE = SOME.flatmap(lambda names: st.tuples(*map(of_somebody, names)))
TO_THE_MEETING = st.one_of(
    st.tuples(st.just("move"), st.booleans()),
    st.tuples(st.just("create"), st.just(8)),
    st.tuples(st.just("create"), st.just(2)),
    st.tuples(st.just("end")),
)
STEP = st.one_of(TO_PEOPLE, TO_PEOPLE, TO_PEOPLE, TO_PEOPLE, TO_THE_MEETING.map(lambda one: (one,)))
EVERYTHING = (
    (("produce", "asha", False), ("produce", "ravi", True), ("leave", "meera")),
    (("pause", "asha"), ("resume", "ravi"), ("join", "meera", "2", "Meera ✓")),
    (("resume", "asha"), ("close", "ravi"), ("join", "meera", "1", None)),
    (("move", False),),
    (("produce", "asha", False), ("produce", "ravi", True)),
    (("close_transport", "asha"), ("kick", "ravi")),
    (("produce", "meera", False),),
    (("move", True),),
    (("join", "ravi", "1", "Ravi ✓"), ("produce", "asha", False)),
    (("end",),),
    (("join", "asha", "1", None),),
    (("create", 2),),
    (("join", "asha", "1", None), ("join", "ravi", "1", None), ("join", "meera", "1", None)),
    (("produce", "asha", False), ("produce", "ravi", False)),
)
EVERYBODY = tuple(("join", who, "1", None) for who in PEOPLE)


@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[
        Phase.explicit,
        Phase.generate,
    ],  # a walk takes a while: a hundred smaller ones to explain one would take too long
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
@example(steps=EVERYTHING, forgotten=(0.6, 0.8))
@given(steps=st.lists(STEP, min_size=10, max_size=15), forgotten=st.tuples(st.floats(0, 1), st.floats(0, 1)))
async def test_the_log_says_of_each_instant_what_the_tables_said(
    stage: Stage, steps: Sequence[tuple[Any, ...]], forgotten: tuple[float, float]
) -> None:
    walk = Walk(stage, f"walk-{next(NUMBERS)}")
    await walk.create(4)
    for number, step in enumerate((EVERYBODY, *steps)):
        await walk.happen(step)
        if number == len(steps) // 2:
            await walk.forget_before(walk.seen_at(forgotten[0]))
    await the_same_throughout(walk)
    await walk.forget_before(walk.seen_at(forgotten[1]))
    await the_same_throughout(walk)
    SEEN.update(walk.seen)


async def the_same_throughout(walk: Walk) -> None:
    """Hold the history against what was seen; before the log's beginning it must say so instead."""
    since = await walk.stage.rows.fetchval("select at from log_bases where meeting = $1", walk.id)
    now = await walk.look()
    instants = [*walk.instants, now]
    for instant, past in zip(instants, await walk.pasts(*(one.at for one in instants)), strict=True):
        if since is not None and instant.at < since:
            assert isinstance(past, CannotRun)
            assert "is forgotten" in str(past)
        else:
            assert past == instant.meeting


async def test_in_these_walks_everything_happened(stage: Stage) -> None:
    """Runs after them: a walk in which little happens proves little."""
    wanted = {
        "MeetingMoved",
        "MeetingUnplaced",
        "MeetingEnded",
        "MeetingCreated",
        "ParticipantJoined",
        "ParticipantReplaced",
        "ParticipantLeft",
        "ProducerCreated",
        "ProducerPaused",
        "ProducerResumed",
        "ProducerClosed",
    }
    assert wanted - set(SEEN) == set(), SEEN
