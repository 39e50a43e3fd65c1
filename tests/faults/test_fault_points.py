"""Flows × points: a process is killed exactly there, another takes over, the caller repeats, and it is as if nothing had been."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest

from services.fault_points import Point
from services.testing.session import Session
from services.testing.system import System
from tests.eventually import eventually
from tests.faults import table
from tests.faults.arena import Arena, arena
from tests.faults.caller import answered
from tests.faults.demands import Outcome
from tests.faults.flows import FLOWS, Flow
from tests.faults.table import Case
from tests.truth import PARTS, Seen, agreed, complaints, leftovers

ASIDE = {"ListLive", "SeatsSeen", "RelayEvents", "FollowEvents"}
MARKS = (Point.BEFORE_MARK, Point.AFTER_MARK)
_DIES = 6.0
_SETTLES = 8.0


@pytest.fixture(scope="module")
async def ready(session: Session) -> AsyncIterator[Arena]:
    """The system of all cases."""
    async with arena(session) as made:
        yield made


@pytest.fixture
def stricken(ready: Arena) -> System:
    """The same, for the report of a test that fails: it shows the processes' last words."""
    return ready.system


async def test_the_table_is_what_each_flow_passes(ready: Arena) -> None:
    found: table.Passes = {}
    for name, flow in FLOWS.items():
        for (kind, at), times in (await _passes(ready, flow)).items():
            found[name, kind, at] = times
    if os.environ.get("FAULTS") == "table":
        table.write(found)
    expected = table.read()
    assert {point for point in Point if any(at.startswith(f"{point}@") for _, _, at in found)} == set(Point)
    assert sorted(found.items() - expected.items()) == []
    assert sorted(expected.items() - found.items()) == []


def test_the_selection_has_each_point_and_each_flow_twice_and_each_point_in_each_process() -> None:
    chosen, everything = Counter[object](), Counter[object]()
    for count, some in ((chosen, table.selected(table.cases())), (everything, table.cases())):
        for case in some:
            count.update((case.flow, case.point, (case.victim, case.point)))
    assert chosen.total() == 60 * 3
    assert {what for what in everything if chosen[what] < (1 if isinstance(what, tuple) else 2)} == set()


@pytest.mark.parametrize("case", table.to_run(), ids=str)
async def test_killed_there_nothing_is_lost_and_nothing_happens_twice(
    ready: Arena, stricken: System, case: Case
) -> None:
    flow, stage, victim = FLOWS[case.flow], ready.stage(), ready.victims[case.victim]
    await flow.prepare(stage)
    order = flow.order(stage)
    if flow.reads_as:
        await stage.read(flow.reads_as)
    await victim.start_a_spare()
    if case.point in MARKS:
        await victim.at_rest()
    victim.forget()
    victim.arm(case.armed)
    calling = asyncio.create_task(answered(ready.http, order))
    try:
        await victim.died(_DIES)
    finally:
        await victim.replace()
    victim.start_a_spare()
    first = await calling
    reader = stage.reader or await stage.read(flow.reads_as)
    again = await answered(ready.http, order)
    found = await stage.found()

    def as_it_should_be(seen: Seen) -> Iterator[str]:
        yield from flow.judge(stage, Outcome(first, again, case.victim == "media", seen, found))
        if differs := reader.differs(stage.log(seen), stage.reads_as):
            yield f"the reader: {differs}"

    try:
        await agreed(stricken, [*PARTS, as_it_should_be], within=_SETTLES, meetings=[stage.meeting])
    finally:
        await stage.close()
    assert list(complaints(stricken)) == []


async def test_afterwards_no_command_waits_and_none_died(ready: Arena) -> None:
    async def nothing_is_left() -> bool:
        return await leftovers(ready.system) == []

    await eventually(nothing_is_left)


async def _passes(ready: Arena, flow: Flow) -> Counter[tuple[str, str]]:
    """Return how often the flow passes which point of which process, when nobody dies."""
    stage = ready.stage()
    await flow.prepare(stage)
    await agreed(ready.system, PARTS, meetings=[stage.meeting])
    for victim in ready.victims.values():
        victim.forget()
    answer = await answered(ready.http, flow.order(stage))
    assert answer.code == flow.refused if flow.refused else answer.ok, answer
    await agreed(ready.system, PARTS, meetings=[stage.meeting])
    passes = Counter((kind, at) for kind, victim in ready.victims.items() for at in victim.passes if _counts(kind, at))
    if any(at.startswith(f"{Point.AFTER_RELAY}@") for _, at in passes):
        passes |= Counter({("kendra", f"{point}@"): 1 for point in MARKS})
    await stage.close()
    return passes


def _counts(kind: str, at: str) -> bool:
    """Say whether a pass is the flow's own: not a round's (of those, the mark follows each relay), not the checker's, not a notice's."""
    command = at.partition("@")[2]
    return kind == "gateway" if not command else command not in ASIDE
