"""The table: how often which flow passes which point in which process. `table.txt` has it, a test holds it against what happens.

A line is `<flow> <process> <point>@<command> <times>`. A case is one of these passes. When a flow was changed on purpose,
`FAULTS=table .venv/bin/pytest tests/faults -k table` writes it anew.
"""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import NamedTuple

from services.fault_points import Point
from tests.faults.flows import FLOWS

_FILE = Path(__file__).with_name("table.txt")
_SEED = 20261122
_SELECTED = 60
_AT_LEAST = 2

Passes = dict[tuple[str, str, str], int]
"""Flow, process and `<point>@<command>` → times."""


class Case(NamedTuple):
    """A process dies in the course of a flow when it passes a point for the n-th time."""

    flow: str
    victim: str
    at: str
    number: int

    @property
    def point(self) -> Point:
        """The point alone."""
        return Point(self.at.partition("@")[0])

    @property
    def armed(self) -> str:
        """What the setting says."""
        return f"{self.at.removesuffix('@')}:{self.number}"

    def __str__(self) -> str:
        return f"{self.flow}-{self.victim}-{self.armed.replace(':', '-')}"


def read() -> Passes:
    """Return the table."""
    rows = (line.split() for line in _FILE.read_text().splitlines())
    return {(flow, victim, at): int(times) for flow, victim, at, times in rows}


def write(passes: Passes) -> None:
    """Write it anew."""
    order = {name: place for place, name in enumerate(FLOWS)}
    rows = sorted(passes.items(), key=lambda row: (order[row[0][0]], row[0][1:]))
    _FILE.write_text("".join(f"{' '.join(key)} {times}\n" for key, times in rows))


def cases() -> list[Case]:
    """Return all cases."""
    return [
        Case(flow, victim, at, number) for (flow, victim, at), times in read().items() for number in range(1, times + 1)
    ]


def selected(all_cases: Iterable[Case]) -> list[Case]:
    """Return the fixed few: each point in each process once, each point and each flow twice, then whatever comes.

    Of the cases that fill a gap the one goes first whose flow was chosen least, or few would not be enough for all flows.
    """
    shuffled = sorted(all_cases)
    Random(_SEED).shuffle(shuffled)
    chosen: list[Case] = []
    seen: Counter[object] = Counter()
    for lacks in (_new_in_process, _seldom, _anything):
        while len(chosen) < _SELECTED and (gaps := [case for case in shuffled if lacks(seen, case)]):
            case = min(gaps, key=lambda one: seen[one.flow])
            shuffled.remove(case)
            chosen.append(case)
            seen.update((case.flow, case.point, (case.victim, case.point)))
    return by_turns(chosen)


def _new_in_process(seen: Counter[object], case: Case) -> bool:
    return not seen[case.victim, case.point]


def _seldom(seen: Counter[object], case: Case) -> bool:
    return min(seen[case.flow], seen[case.point]) < _AT_LEAST


def _anything(_seen: Counter[object], _case: Case) -> bool:
    return True


def by_turns(some: Iterable[Case]) -> list[Case]:
    """Return the cases in such an order that the next to die is of another kind: its spare has had time to start."""
    kinds: dict[str, list[Case]] = {}
    for case in some:
        kinds.setdefault(case.victim, []).append(case)
    ordered: list[tuple[float, Case]] = []
    for of_kind in kinds.values():
        ordered += [((place + 0.5) / len(of_kind), case) for place, case in enumerate(of_kind)]
    return [case for _, case in sorted(ordered, key=lambda one: one[0])]


def to_run() -> list[Case]:
    """Return what this run goes through: all with FAULTS=all."""
    return by_turns(cases()) if os.environ.get("FAULTS") == "all" else selected(cases())
