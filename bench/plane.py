"""What the plane costs, beside a bare loop that is run in turn with it: each row a ratio within this run, its goal beside it.

The media server's process runs on one core, who loads it on another; its CPU is all of the process, Python included. A pair is one
run of the bare loop and one interval of the plane; a row is the median of its pairs. See docs/performance.md for what each row means.
"""

import os
from collections.abc import Awaitable, Callable
from statistics import median

from bench.bare_loop import Bare, Shape, bare_loop
from bench.measure import Measure
from bench.plane_busy import busy, idle, overload
from bench.plane_joins import churn, first_audio, joins
from bench.plane_memory import memory
from bench.plane_plan import AUDIO_FPS, VIDEO_FPS, Pair, Plan, flowing, pairs, rows
from bench.plane_system import joins_through_the_system
from bench.tools import build


async def video_to_100(plan: Plan) -> list[Measure]:
    """1 → 100 as one camera sends, with feedback and 1 % of loss; then as fast as 200,000 packets a second."""
    shape = Shape(100, 1216, 5, VIDEO_FPS)
    async with plan.broadcast(100, "video", "loss=0.01 feedback=1") as (at, stream):
        found = rows("1 to 100 video, 1 % lost", await pairs(plan, at, [stream], VIDEO_FPS, shape), 1.2)
        if plan.plane != "reference":
            flat_out = Shape(100, 1216, 5)
            fast = await pairs(plan, at, [stream], 400, flat_out)
            found += rows("200,000 packets/s out", fast, 1.15, "flat-out bare loop")
    return found


async def video_to_10(plan: Plan) -> list[Measure]:
    """1 → 10: the input's share is largest here."""
    async with plan.broadcast(10, "video", "loss=0.01 feedback=1 sample=8") as (at, stream):
        found = await pairs(plan, at, [stream], VIDEO_FPS, Shape(10, 1216, 5, VIDEO_FPS))
    return rows("1 to 10 video", found, 1.5)


async def audio_to_200(plan: Plan) -> list[Measure]:
    """1 → 200 of 120 bytes, flushed at once."""
    async with plan.broadcast(200, "audio") as (at, stream):
        found = await pairs(plan, at, [stream], AUDIO_FPS, Shape(200, 136, 1, AUDIO_FPS))
    return rows("1 to 200 audio", found, 1.6)


async def meetings(plan: Plan) -> list[Measure]:
    """Meetings of 10 × 10 with audio and video, as many as fill 80 % of a core, against the flat-out loop of the same mix."""
    async with plan.session() as at:
        streams = await at.meeting(10, "meeting-0")
        at.load.order("set feedback=1")
        alone = await flowing(plan, at, streams)
        wanted = max(1, min(24, int(0.8 * alone.seconds / alone.cpu)))
        for number in range(1, wanted):
            streams += await at.meeting(10, f"meeting-{number}")
        found: list[Pair] = []
        for _ in range(plan.pairs):
            bare = await _mixed(plan)
            found.append(Pair(bare, await flowing(plan, at, streams)))
    busy = median(pair.phase.cpu / pair.phase.seconds for pair in found)
    return [
        *rows(f"{wanted} meetings of 10 × 10", found, 2.0, "flat-out bare loop of the same mix"),
        Measure("plane: meetings of 10 × 10, share of the core", busy, "ratio"),
    ]


async def _mixed(plan: Plan) -> Bare:
    """Run both loops; return what a packet costs where 156 of 206 are video's."""
    video, audio = await plan.bare(Shape(90, 1216, 5)), await plan.bare(Shape(90, 136, 1))
    share = 5 * VIDEO_FPS / (5 * VIDEO_FPS + AUDIO_FPS)
    micros = share * video.micros + (1 - share) * audio.micros
    return Bare(micros, video.p99, video.stolen + audio.stolen)


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


async def in_c(plan: Plan) -> list[Measure]:
    """The bare loop against the same in C with OpenSSL."""
    if plan.tools.floor_in_c is None:
        return []
    ratios, nanoseconds = list[float](), list[float]()
    for _ in range(plan.pairs):
        ours = await plan.bare(Shape(100, 1216, 5))
        theirs = await bare_loop(
            plan.tools, Shape(100, 1216, 5), plan.seconds, merge=plan.merge, sender=plan.tools.floor_in_c
        )
        ratios.append(ours.micros / theirs.micros)
        nanoseconds.append(1000 * ours.micros)
    note = f"{median(nanoseconds):,.0f} ns a packet"
    return [Measure("bare loop, flat out, over the same in C with OpenSSL", median(ratios), "ratio", 1.25, note)]


Row = Callable[[Plan], Awaitable[list[Measure]]]
ROWS: dict[str, Row] = {
    "floor": in_c,
    "video100": video_to_100,
    "video10": video_to_10,
    "audio200": audio_to_200,
    "meetings": meetings,
    "busy": busy,
    "overload": overload,
    "workers": two_workers,
    "idle": idle,
    "memory": lambda plan: memory(plan.plane),
    "joins": lambda plan: joins(plan.tools, plan.plane, 240 if plan.pairs >= 5 else 60),
    "system": lambda plan: joins_through_the_system(plan.tools, plan.plane, 240 if plan.pairs >= 5 else 60),
    "churn": lambda plan: churn(plan.tools, plan.plane, 1000 if plan.pairs >= 5 else 100, 150 * plan.seconds),
    "audio": lambda plan: first_audio(plan.tools, plan.plane, 5 * plan.pairs),
}

UNASKED = {"churn"}
"""Rows that are taken only when they are named: they are long."""


async def measure_plane(
    plane: str, names: list[str], *, quick: bool = False, say: Callable[[str], None] = print
) -> list[Measure]:
    """Take the rows asked for, one after the other."""
    tools = build()
    merge = os.environ.get("BENCH_MERGE") == "1"
    plan = Plan(tools, plane, 1.5 if quick else 4.0, 2 if quick else 5, merge)
    found: list[Measure] = []
    for name in names or [each for each in ROWS if each not in UNASKED]:
        say(f"measuring {name} of the {plane} plane")
        found += await ROWS[name](plan)
    return found
