"""How the plane is measured: pairs of a bare loop and an interval of the plane, one after the other, so that both see the same machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median

from bench.bare_loop import Bare, Shape, bare_loop
from bench.measure import Measure
from bench.plane_session import Phase, Published, Session, session
from bench.tools import Tools

VIDEO_FPS, AUDIO_FPS = 31.2, 50.0
"""1.5 Mbit/s of 1,200-byte packets, five a frame; opus' packets of 20 ms."""
USUAL_FPS = {"video": VIDEO_FPS, "audio": AUDIO_FPS}
SETTLE = 0.5
"""Seconds that streams flow before they are measured."""


@dataclass(frozen=True)
class Plan:
    """How long and how often: `pairs` of a bare loop and an interval of `seconds` each."""

    tools: Tools
    plane: str
    seconds: float
    pairs: int
    merge: bool

    @asynccontextmanager
    async def session(self, workers: int = 1, *, merge: bool = False, stamp: bool = False) -> AsyncIterator[Session]:
        """Start a media server and a load that reads merged datagrams, or takes a packet as there when the kernel has it."""
        made = session(self.tools, self.plane, workers=workers, merge=merge or self.merge, stamp=stamp)
        async with made as at:
            yield at

    @asynccontextmanager
    async def broadcast(
        self, receivers: int, kind: str, settings: str = "feedback=1", *, merge: bool = False, stamp: bool = False
    ) -> AsyncIterator[tuple[Session, Published]]:
        """Start both with one publisher and so many receivers of it, and the load set so (`set` in bench/load)."""
        async with self.session(merge=merge, stamp=stamp) as at:
            stream = await at.broadcast(receivers, kind)
            at.load.order(f"set {settings}")
            yield at, stream

    async def bare(self, shape: Shape, *, stamp: bool = False) -> Bare:
        """Run the bare loop."""
        return await bare_loop(self.tools, shape, self.seconds, merge=self.merge, stamp=stamp)


@dataclass(frozen=True)
class Pair:
    """A bare loop and an interval of the plane, one after the other."""

    bare: Bare
    phase: Phase

    @property
    def ratio(self) -> float:
        """CPU of a packet over that of the bare loop."""
        return self.phase.micros / self.bare.micros


async def flowing(plan: Plan, at: Session, streams: list[Published], fps: float | None = None) -> Phase:
    """Let streams flow, at their kind's usual rate where none is given; measure once they do, and stop them."""
    for each in streams:
        at.rate([each], USUAL_FPS[each.kind] if fps is None else fps)
    await asyncio.sleep(SETTLE)
    phase = await at.phase(plan.seconds)
    at.rate(streams, 0)
    return phase


async def pairs(plan: Plan, at: Session, streams: list[Published], fps: float, shape: Shape) -> list[Pair]:
    """Measure pairs; the bare loop sends datagrams as big as the plane's were."""
    found: list[Pair] = []
    bytes_a_packet = shape.bytes
    for _ in range(plan.pairs):
        bare = await plan.bare(Shape(shape.receivers, bytes_a_packet, shape.burst, shape.fps))
        phase = await flowing(plan, at, streams, fps)
        found.append(Pair(bare, phase))
        bytes_a_packet = phase.bytes_a_packet
    return found


def rows(name: str, found: list[Pair], goal: float, against: str = "paced bare loop") -> list[Measure]:
    """Return a row's measures."""
    ratios = [pair.ratio for pair in found]
    load = median(float(pair.phase.counted["cpu"]) / pair.phase.seconds for pair in found)
    stolen = sum(pair.bare.stolen + int(pair.phase.counted["stolen_ms"]) for pair in found)
    note = f"{min(ratios):.2f} to {max(ratios):.2f}; load's CPU {load:.0%}; {stolen} ms stolen"
    return [
        Measure(f"plane: {name}, CPU a packet", median(pair.phase.micros for pair in found), "us"),
        Measure(f"plane: {name}, {against}", median(pair.bare.micros for pair in found), "us"),
        Measure(f"plane: {name}, over the {against}", median(ratios), "ratio", goal, note),
        Measure(f"plane: {name}, lost", max(pair.phase.lost for pair in found), "ratio", 0),
    ]
