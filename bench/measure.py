"""What a measurement is, and the few ways to take one: percentiles, CPU of a set of processes, callers side by side."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import psutil

Unit = Literal["ms", "1/s", "ratio", "us", "cpu ms", "KiB", "at least"]


@dataclass(frozen=True)
class Measure:
    """One figure. A goal is met when value ≤ goal; for rates (1/s) and for ratios that should be high (at least) when value ≥ goal."""

    name: str
    value: float
    unit: Unit
    goal: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met, None without one."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.unit in ("1/s", "at least") else self.value <= self.goal


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def cpu_seconds(pids: Iterable[int], *, children: bool = True) -> float:
    """Return user and system time that these processes have used so far, their living children's included unless told."""
    total = 0.0
    for pid in pids:
        for process in _family(pid) if children else [psutil.Process(pid)]:
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system
    return total


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


async def one_by_one(calls: int, call: Callable[[int], Awaitable[object]]) -> list[float]:
    """Make calls one after the other; return their times in ms."""
    return [await _timed(call, number) for number in range(calls)]


async def side_by_side(calls: int, callers: int, call: Callable[[int], Awaitable[object]]) -> tuple[list[float], float]:
    """Make calls with that many callers at once; return their times in ms and the calls per second."""
    numbers = iter(range(calls))
    times: list[float] = []

    async def caller() -> None:
        for number in numbers:
            times.append(await _timed(call, number))

    began = time.monotonic()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return times, calls / (time.monotonic() - began)


async def open_loop(calls: int, per_second: float, call: Callable[[int], Awaitable[object]]) -> list[float]:
    """Start calls at a fixed rate whatever the answers do; return their times in ms, counted from when each was due."""
    began = time.monotonic()

    async def due(number: int) -> float:
        at = began + number / per_second
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        await call(number)
        return 1000 * (time.monotonic() - at)

    return await asyncio.gather(*(due(number) for number in range(calls)))


async def _timed(call: Callable[[int], Awaitable[object]], number: int) -> float:
    began = time.monotonic()
    await call(number)
    return 1000 * (time.monotonic() - began)
