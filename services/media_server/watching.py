"""The watchdog: each second every plane with a loop of its own must have turned since it was woken.

One that has not is stuck: it is told of and counted, and after a longer while it counts as dead. What is counted is how often it
was looked at in vain, not the time: when this whole process stood still, so did its planes, and none of them is to blame.
"""

import asyncio

import structlog

from services.media_server.metrics import STUCK
from sfu.worker import Worker

log = structlog.stdlib.get_logger("media server")


class Pulse:
    """One plane's turns, as they were felt. Pure."""

    def __init__(self, turns: int) -> None:
        self._turns = turns
        self.missed = 0

    def felt(self, turns: int) -> int:
        """Take the number of turns until now; return how often in a row there was no new one."""
        self.missed = self.missed + 1 if turns == self._turns else 0
        self._turns = turns
        return self.missed


class Watching:
    """`workers` is a list that others change. Seconds: `each` look, until one is `stuck`, until it is `lost`."""

    def __init__(self, workers: list[Worker], *, each: float, stuck: float, lost: float) -> None:
        self._workers, self._each = workers, each
        self._stuck, self._lost = max(1, round(stuck / each)), max(2, round(lost / each))
        self._pulses: dict[Worker, Pulse] = {}

    async def keep(self) -> None:
        """Look for ever."""
        while True:
            self.look()
            await asyncio.sleep(self._each)

    def look(self) -> None:
        """Look at every worker once."""
        self._pulses = {worker: pulse for worker, pulse in self._pulses.items() if worker in self._workers}
        for worker in tuple(self._workers):
            turns = worker.plane.turns()
            if turns is None:
                continue
            if worker not in self._pulses:
                self._pulses[worker] = Pulse(turns)
                continue
            was = self._pulses[worker].missed
            self._judge(worker, was, self._pulses[worker].felt(turns))

    def _judge(self, worker: Worker, was: int, missed: int) -> None:
        if was >= self._stuck and missed == 0:
            log.warning("a worker goes on", worker=worker.id, after=was * self._each)
        elif missed == self._stuck:
            STUCK.labels(worker.id).inc()
            log.error("a worker is stuck", worker=worker.id, routers=len(worker.routers), seconds=missed * self._each)
        elif missed >= self._lost:
            worker.die(TimeoutError(f"its loop stood still for {missed * self._each:g} s"))
