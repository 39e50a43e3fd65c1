"""One run: people in a cluster, faults one after the other, what each cost, and everything that was wrong."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from services.cli.participant.api import ApiError
from services.cli.stack.system import Process
from tests.chaos import history
from tests.chaos.cluster import MEDIA_SERVERS, Cluster, running_cluster
from tests.chaos.nemesis import FAULTS, Fault, emptied, order
from tests.chaos.people import Crowd
from tests.chaos.watching import Fences, at_rest, eventually_none, logs, queues, watch_fences, watch_queues
from tests.chaos.weighing import Weight, grown, weights

SLOW = 5.0
"""A recovery that took longer, seconds, is shown with what it waited for."""
_VISITS = 3
"""How often each of those who come and go does so before anything is weighed or broken."""
_AT_ONCE = 1.0
"""A drain that has no more time than this, seconds, moves all meetings at once."""
_REST = 25.0
"""How long after the last person left everything may take to be as it shall be, seconds."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One fault. `recovered`: seconds from its begin until everybody was well for good; None: they never were."""

    kind: str
    what: str
    lasted: float
    recovered: float | None
    last: str
    """What somebody lacked last."""


@dataclass
class Outcome:
    """What a run showed."""

    seed: int
    seconds: float = 0.0
    costs: list[Cost] = field(default_factory=list)
    attempts: int = 0
    calls: int = 0
    """Orders (POST, DELETE) that were finished: acknowledged, or refused for good."""
    people: int = 0
    meetings: int = 0
    frames: int = 0
    weights: dict[str, tuple[Weight, Weight]] = field(default_factory=dict)
    """What each process held: warmed, with everybody at home, and at the end."""
    wrong: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> set[str]:
        """Which kinds of faults there were."""
        return {cost.kind for cost in self.costs}


Told = Callable[[str], None]


async def run(
    seconds: float,
    seed: int,
    *,
    kinds: Sequence[str] = tuple(FAULTS),
    tell: Told = lambda _: None,
    routed: Callable[[Process], Process] = lambda process: process,
    weighing: bool = True,
) -> Outcome:
    """Torment a cluster of its own for so long; return what was seen. Raises nothing that the cluster did wrong.

    `weighing`: see to what the processes hold too; they are made warm before, which takes a while.
    """
    outcome = Outcome(seed)
    chance = random.Random(seed)
    async with running_cluster(routed) as cluster:
        async with Crowd(cluster, random.Random(chance.random())) as crowd:
            before = await _warmed(outcome, cluster, crowd) if weighing else {}
            fences = Fences()
            watching = [
                asyncio.create_task(watch_fences(cluster, fences)),
                asyncio.create_task(watch_queues(cluster, outcome.wrong)),
            ]
            began = time.monotonic()
            for fault in order(chance, kinds):
                if time.monotonic() - began > seconds:
                    break
                cost = await _inflict(fault, cluster, crowd, chance)
                outcome.costs.append(cost)
                tell(described(cost))
            outcome.seconds = time.monotonic() - began
            await crowd.go_home()
            for each in watching:
                each.cancel()
        await _judge(outcome, cluster, crowd)
        outcome.wrong += fences.wrong
        outcome.wrong += await eventually_none(partial(_weighed, before, cluster), 5.0)
        outcome.weights = {name: (was, now) for name, now in weights(cluster).items() if (was := before.get(name))}
    return outcome


async def _warmed(outcome: Outcome, cluster: Cluster, crowd: Crowd) -> dict[str, Weight]:
    """Weigh the processes when each has done all that it does and nobody is in; then everybody comes in again.

    A media server that carried one meeting becomes heavier when it carries all, so each has carried all.
    """
    for server in MEDIA_SERVERS:
        await emptied(cluster, server, _AT_ONCE)
        await crowd.well_again(_REST)
    await crowd.came_and_went(_VISITS)
    await crowd.go_home()
    outcome.wrong += await at_rest(cluster, _REST)
    before = weights(cluster)
    await crowd.begin_anew()
    await crowd.come_in()
    return before


async def _inflict(fault: Fault, cluster: Cluster, crowd: Crowd, chance: random.Random) -> Cost:
    """Do it, and wait until everybody is well again, at most as long as the fault may take."""
    began = time.monotonic()
    try:
        what = await fault.inject(cluster, chance)
    except (TimeoutError, ApiError) as error:
        crowd.wrong.append(f"{fault.kind} did not come to its end: {error!r}")
        what = "?"
    lasted = time.monotonic() - began
    well = await crowd.well_again(within=fault.within)
    await asyncio.sleep(chance.uniform(0.1, 0.5))
    recovered = None if well is None else max(0.0, well - began)
    return Cost(fault.kind, what, lasted, recovered, crowd.last_why)


async def _judge(outcome: Outcome, cluster: Cluster, crowd: Crowd) -> None:
    outcome.people, outcome.frames = len(crowd.people), crowd.frames
    outcome.meetings = len({person.meeting for person in crowd.people})
    outcome.attempts, outcome.calls = len(crowd.attempts), crowd.calls
    outcome.wrong += [
        f"{cost.kind} ({cost.what}): not everybody was well again: {cost.last}"
        for cost in outcome.costs
        if cost.recovered is None
    ]
    outcome.wrong += crowd.wrong
    outcome.wrong += await at_rest(cluster, _REST)
    log = await logs(cluster)
    outcome.wrong += history.answers(crowd.attempts, cluster.gateway_away)
    outcome.wrong += history.one_reply_a_key(crowd.attempts)
    outcome.wrong += history.effects(crowd.attempts, log)
    outcome.wrong += history.sequences(log)
    for reader, events in crowd.read.items():
        outcome.wrong += history.read(reader, events, log)
    outcome.wrong += await eventually_none(partial(queues, cluster), 20.0)


async def _weighed(before: dict[str, Weight], cluster: Cluster) -> list[str]:
    return grown(before, weights(cluster))


def described(cost: Cost) -> str:
    """Return a line about one fault."""
    recovered = "never recovered" if cost.recovered is None else f"well after {cost.recovered:.1f} s"
    last = f" ({cost.last})" if cost.recovered is None or cost.recovered > SLOW else ""
    return f"{cost.kind:24} {cost.what:28} lasted {cost.lasted:4.1f} s, {recovered}{last}"
