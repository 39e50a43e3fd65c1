"""What the plane costs, beside a bare loop that is run in turn with it: each row a ratio within this run, its goal beside it.

The media server's process runs on one core, who loads it on another; its CPU is all of the process, Python included. A pair is one
run of the bare loop and one interval of the plane; a row is the median of its pairs. See docs/performance.md for what each row means.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median

from bench.bare_loop import Bare, Shape, bare_loop
from bench.measure import Measure
from bench.plane_joins import first_audio, joins
from bench.plane_memory import memory
from bench.plane_session import Phase, Published, Session, session
from bench.tools import Tools, build

VIDEO_FPS, AUDIO_FPS = 31.2, 50.0
"""1.5 Mbit/s of 1,200-byte packets, five a frame; opus' packets of 20 ms."""
SETTLE = 0.5


@dataclass(frozen=True)
class Plan:
    """How long and how often: `pairs` of a bare loop and an interval of `seconds` each."""

    tools: Tools
    plane: str
    seconds: float
    pairs: int
    merge: bool

    @asynccontextmanager
    async def session(self, workers: int = 1) -> AsyncIterator[Session]:
        """Start a media server and a load."""
        async with session(self.tools, self.plane, workers=workers, merge=self.merge) as made:
            yield made

    async def bare(self, shape: Shape) -> Bare:
        """Run the bare loop."""
        return await bare_loop(self.tools, shape, self.seconds, merge=self.merge)


@dataclass(frozen=True)
class Pair:
    """A bare loop and an interval of the plane, one after the other."""

    bare: Bare
    phase: Phase

    @property
    def ratio(self) -> float:
        """CPU of a packet over that of the bare loop."""
        return self.phase.micros / self.bare.micros


async def flowing(plan: Plan, at: Session, streams: list[Published], fps: float) -> Phase:
    """Let streams flow, measure once they do, and stop them."""
    at.rate(streams, fps)
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
    return [
        Measure(f"plane: {name}, CPU a packet", median(pair.phase.micros for pair in found), "us"),
        Measure(f"plane: {name}, {against}", median(pair.bare.micros for pair in found), "us"),
        Measure(f"plane: {name}, over the {against}", median(ratios), "ratio", goal),
        Measure(f"plane: {name}, least and most of the pairs: least", min(ratios), "ratio"),
        Measure(f"plane: {name}, least and most of the pairs: most", max(ratios), "ratio"),
        Measure(f"plane: {name}, lost", max(pair.phase.lost for pair in found), "ratio", 0),
        Measure(f"plane: {name}, CPU of the load", median(_share(pair.phase) for pair in found), "ratio"),
    ]


def _share(phase: Phase) -> float:
    return float(phase.counted["cpu"]) / phase.seconds


async def video_to_100(plan: Plan) -> list[Measure]:
    """1 → 100 as one camera sends, with feedback and 1 % of loss; then as fast as 200,000 packets a second."""
    shape = Shape(100, 1216, 5, VIDEO_FPS)
    async with plan.session() as at:
        stream = await at.broadcast(100, "video")
        at.load.order("set loss=0.01 feedback=1")
        found = rows("1 to 100 video, 1 % lost", await pairs(plan, at, [stream], VIDEO_FPS, shape), 1.2)
        if plan.plane != "reference":
            flat_out = Shape(100, 1216, 5)
            fast = await pairs(plan, at, [stream], 400, flat_out)
            found += rows("200,000 packets/s out", fast, 1.15, "flat-out bare loop")
    return found


async def video_to_10(plan: Plan) -> list[Measure]:
    """1 → 10: the input's share is largest here."""
    async with plan.session() as at:
        stream = await at.broadcast(10, "video")
        at.load.order("set loss=0.01 feedback=1 sample=8")
        found = await pairs(plan, at, [stream], VIDEO_FPS, Shape(10, 1216, 5, VIDEO_FPS))
    return rows("1 to 10 video", found, 1.5)


async def audio_to_200(plan: Plan) -> list[Measure]:
    """1 → 200 of 120 bytes, flushed at once."""
    async with plan.session() as at:
        stream = await at.broadcast(200, "audio")
        at.load.order("set feedback=1")
        found = await pairs(plan, at, [stream], AUDIO_FPS, Shape(200, 136, 1, AUDIO_FPS))
    return rows("1 to 200 audio", found, 1.6)


async def meetings(plan: Plan) -> list[Measure]:
    """Meetings of 10 × 10 with audio and video, as many as fill 80 % of a core, against the flat-out loop of the same mix."""
    async with plan.session() as at:
        streams = await at.meeting(10, "meeting-0")
        at.load.order("set feedback=1")
        alone = await both_flowing(plan, at, streams)
        wanted = max(1, min(14, int(0.8 * alone.seconds / alone.cpu)))
        for number in range(1, wanted):
            streams += await at.meeting(10, f"meeting-{number}")
        found: list[Pair] = []
        for _ in range(plan.pairs):
            bare = await _mixed(plan)
            found.append(Pair(bare, await both_flowing(plan, at, streams)))
    busy = median(pair.phase.cpu / pair.phase.seconds for pair in found)
    return [
        *rows(f"{wanted} meetings of 10 × 10", found, 2.0, "flat-out bare loop of the same mix"),
        Measure("plane: meetings of 10 × 10, share of the core", busy, "ratio"),
    ]


async def both_flowing(plan: Plan, at: Session, streams: list[Published]) -> Phase:
    """Measure while audio and video flow."""
    for each in streams:
        at.rate([each], VIDEO_FPS if each.kind == "video" else AUDIO_FPS)
    await asyncio.sleep(SETTLE)
    phase = await at.phase(plan.seconds)
    at.rate(streams, 0)
    return phase


async def _mixed(plan: Plan) -> Bare:
    """Run both loops; return what a packet costs where 156 of 206 are video's."""
    video, audio = await plan.bare(Shape(90, 1216, 5)), await plan.bare(Shape(90, 136, 1))
    share = 5 * VIDEO_FPS / (5 * VIDEO_FPS + AUDIO_FPS)
    micros = share * video.micros + (1 - share) * audio.micros
    return Bare(micros, video.p50, video.p99, 0.0, video.preempted, video.stolen + audio.stolen)


async def busy(plan: Plan) -> list[Measure]:
    """Latency and loss at 20, 50 and 80 % of a core; then past it: throughput and control's answers."""
    found: list[Measure] = []
    async with plan.session() as at:
        stream = await at.broadcast(100, "video")
        at.load.order("set feedback=1")
        first = await flowing(plan, at, [stream], VIDEO_FPS if plan.plane == "reference" else 400)
        per_frame = 500 * first.micros / 1e6
        for share in (0.2, 0.5, 0.8):
            fps = share / per_frame
            bare = await plan.bare(Shape(100, first.bytes_a_packet, 5, fps))
            phase = await flowing(plan, at, [stream], fps)
            goal = max(5.0, 2 * bare.p99)
            name = f"plane: at {share:.0%} of a core"
            found += [
                Measure(f"{name}, used", phase.cpu / phase.seconds, "ratio"),
                Measure(f"{name}, one way p50", phase.latency("p50"), "ms"),
                Measure(f"{name}, one way p99", phase.latency("p99"), "ms", goal),
                Measure(f"{name}, bare loop's p99", bare.p99, "ms"),
                Measure(f"{name}, lost", phase.lost, "ratio", 0),
                Measure(f"{name}, stolen from the machine", phase.counted["stolen_ms"], "ms"),
            ]
        found += await _overload(plan, at, stream, per_frame)
    return found


async def _overload(plan: Plan, at: Session, stream: Published, per_frame: float) -> list[Measure]:
    """Send 0.9 to 2 times what a core can; control is asked to open and close transports meanwhile."""
    rates, answers = list[float](), list[float]()
    for share in (0.9, 1.0, 1.2, 1.5, 2.0):
        asking = asyncio.create_task(_keep_asking(at, answers))
        phase = await flowing(plan, at, [stream], share / per_frame)
        asking.cancel()
        rates.append(phase.packets / phase.seconds)
    await asyncio.sleep(1)
    return [
        Measure("plane: past saturation, peak", max(rates), "1/s"),
        Measure(
            "plane: past saturation, share of the peak that is left", min(rates[-2:]) / max(rates), "at least", 0.9
        ),
        Measure("plane: past saturation, slowest answer of control", max(answers, default=0.0), "ms", 1000),
    ]


async def _keep_asking(at: Session, answers: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        opened = await at.open("control")
        await at.ask("close", transport=opened["transport"])
        answers.append(1000 * (loop.time() - began))
        await asyncio.sleep(0.05)


async def two_workers(plan: Plan) -> list[Measure]:
    """Two workers at half the rate each, against one at the whole."""
    ratios = list[float]()
    fps = 2 * VIDEO_FPS if plan.plane != "reference" else VIDEO_FPS
    async with plan.session(workers=2) as at:
        one = await at.broadcast(50, "video", "one", 0)
        other = await at.broadcast(50, "video", "other", 1)
        at.load.order("set feedback=1")
        for _ in range(plan.pairs):
            alone = await flowing(plan, at, [one], fps)
            ratios.append((await flowing(plan, at, [one, other], fps / 2)).micros / alone.micros)
    return [Measure("plane: two workers at half the rate each, CPU a packet over one's", median(ratios), "ratio", 1.1)]


async def idle(plan: Plan) -> list[Measure]:
    """Transports that only hold consent: what they cost without their checks, and with them."""
    count = 2000 if plan.pairs >= 5 else 200
    async with plan.session() as at:
        empty = (await at.phase(plan.seconds)).cpu / plan.seconds
        before = (await at.ask("memory"))["kib"]

        async def join() -> None:
            async with at.gate:
                await at.connect("idle")

        await asyncio.gather(*(join() for _ in range(count)))
        after = (await at.ask("memory"))["kib"]
        assert isinstance(before, float)
        assert isinstance(after, float)
        at.load.order("set reports=0")
        with_checks = (await at.phase(2 * plan.seconds)).cpu / (2 * plan.seconds)
        at.load.order("set keepalive=0")
        await asyncio.sleep(3)
        without = (await at.phase(2 * plan.seconds)).cpu / (2 * plan.seconds)
    return [
        Measure(
            f"plane: {count:,} idle transports, share of a core beyond their checks", without - empty, "ratio", 0.005
        ),
        Measure(f"plane: {count:,} idle transports, with a check each 2.5 s", with_checks, "ratio"),
        Measure("plane: an empty media server, share of a core", empty, "ratio"),
        Measure("plane: whole transport at rest, DTLS included", (after - before) / count, "KiB"),
    ]


async def in_c(plan: Plan) -> list[Measure]:
    """The bare loop against the same in C with OpenSSL."""
    if plan.tools.floor_in_c is None:
        return []
    ratios = list[float]()
    for _ in range(plan.pairs):
        ours = await plan.bare(Shape(100, 1216, 5))
        theirs = await bare_loop(
            plan.tools, Shape(100, 1216, 5), plan.seconds, merge=plan.merge, sender=plan.tools.floor_in_c
        )
        ratios.append(ours.micros / theirs.micros)
    return [Measure("bare loop, flat out, over the same in C with OpenSSL", median(ratios), "ratio", 1.25)]


Row = Callable[[Plan], Awaitable[list[Measure]]]
ROWS: dict[str, Row] = {
    "floor": in_c,
    "video100": video_to_100,
    "video10": video_to_10,
    "audio200": audio_to_200,
    "meetings": meetings,
    "busy": busy,
    "workers": two_workers,
    "idle": idle,
    "memory": lambda plan: memory(plan.plane),
    "joins": lambda plan: joins(plan.tools, plan.plane, 240 if plan.pairs >= 5 else 60),
    "audio": lambda plan: first_audio(plan.tools, plan.plane, 5 * plan.pairs),
}


async def measure_plane(
    plane: str, names: list[str], *, quick: bool = False, say: Callable[[str], None] = print
) -> list[Measure]:
    """Take the rows asked for, one after the other."""
    tools = build()
    merge = os.environ.get("BENCH_MERGE") == "1"
    plan = Plan(tools, plane, 1.5 if quick else 4.0, 2 if quick else 5, merge)
    found: list[Measure] = []
    for name in names or ROWS:
        say(f"measuring {name} of the {plane} plane")
        found += await ROWS[name](plan)
    return found
