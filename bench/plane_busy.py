"""The plane under load and at rest: latency and loss up to 80 % of a core, what becomes of it past that, what idle transports cost."""

import asyncio
from contextlib import suppress

from bench.bare_loop import Shape
from bench.measure import Measure
from bench.plane_plan import VIDEO_FPS, Plan, flowing
from bench.plane_session import Session

QUIET = 1.0
"""Seconds in which a media server finishes what it was given, or what its start left to do."""
LAST_CHECKS = 3.0
"""Seconds after which none of the checks is under way any more that each peer sends every 2.5."""
BETWEEN_QUESTIONS = 0.05


async def busy(plan: Plan) -> list[Measure]:
    """Latency and loss at 20, 50 and 80 % of a core, twice: as others run, and undisturbed by them, which is what the plane answers for.

    A packet is there when the kernel has it, so that the load's own delays in reading do not count.
    """
    found: list[Measure] = []
    async with plan.broadcast(100, "video", stamp=True) as (at, stream):
        first = await flowing(plan, at, [stream], _fastest(plan) / 4)
        for share in (0.2, 0.5, 0.8):
            fps = share / (500 * first.micros / 1e6)
            bare = await plan.bare(Shape(100, first.bytes_a_packet, 5, fps), stamp=True)
            first = phase = await flowing(plan, at, [stream], fps)
            how = "undisturbed" if at.undisturbed(True) else "as others run"
            alone = await flowing(plan, at, [stream], fps)
            at.undisturbed(False)
            stolen = int(phase.counted["stolen_ms"]) + int(alone.counted["stolen_ms"])
            note = f"bare {bare.p99:.2g} ms; most {alone.latency('max'):.2g} ms; {stolen} ms stolen"
            name = f"plane: {phase.packets / phase.seconds:,.0f} packets/s, {phase.cpu / phase.seconds:.0%} of a core"
            found += [
                Measure(f"{name}, one way p50", phase.latency("p50"), "ms"),
                Measure(f"{name}, one way p99", phase.latency("p99"), "ms"),
                Measure(f"{name}, one way p99, {how}", alone.latency("p99"), "ms", max(5.0, 2 * bare.p99), note),
                Measure(f"{name}, lost", max(phase.lost, alone.lost), "ratio", 0),
            ]
    return found


def _fastest(plan: Plan) -> float:
    """Return frames a second to 100 that this plane can surely do."""
    return VIDEO_FPS if plan.plane == "reference" else 800


async def overload(plan: Plan) -> list[Measure]:
    """Send 0.9 to 2 times what a core can; control is asked to open and close transports meanwhile. The load reads merged datagrams."""
    if plan.plane == "reference":
        return []  # it promises nothing there: its control and its packets share one thread
    rates, answers = list[float](), list[float]()
    async with plan.broadcast(100, "video", merge=True) as (at, stream):
        per_frame = 500 * (await flowing(plan, at, [stream], _fastest(plan))).micros / 1e6
        for share in (0.9, 1.0, 1.2, 1.5, 2.0):
            asking = asyncio.create_task(_keep_asking(at, answers))
            phase = await flowing(plan, at, [stream], share / per_frame)
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
            rates.append(phase.packets / phase.seconds)
        await asyncio.sleep(QUIET)
    left = min(rates[-2:]) / max(rates)
    note = " ".join(f"{rate / 1000:,.0f}" for rate in rates) + " thousand/s at 0.9, 1, 1.2, 1.5, 2 times a core's"
    return [
        Measure("plane: past saturation, peak", max(rates), "1/s"),
        Measure("plane: past saturation, share of the peak that is left", left, "at least", 0.9, note),
        Measure("plane: past saturation, slowest answer of control", max(answers, default=0.0), "ms", 1000),
    ]


async def _keep_asking(at: Session, answers: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            opened = await at.open("control")
            await at.ask("close", transport=opened["transport"])
        finally:  # one that is not answered when the interval ends took at least this long
            answers.append(1000 * (loop.time() - began))
        await asyncio.sleep(BETWEEN_QUESTIONS)


async def idle(plan: Plan) -> list[Measure]:
    """Transports that only hold consent: what they cost without their checks, and with them."""
    count = 2000 if plan.pairs >= 5 else 200
    async with plan.session() as at:
        await asyncio.sleep(QUIET)
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
        await asyncio.sleep(LAST_CHECKS)
        without = (await at.phase(2 * plan.seconds)).cpu / (2 * plan.seconds)
    return [
        Measure(
            f"plane: {count:,} idle transports, share of a core beyond their checks", without - empty, "ratio", 0.005
        ),
        Measure(f"plane: {count:,} idle transports, with a check each 2.5 s", with_checks, "ratio"),
        Measure("plane: an empty media server, share of a core", empty, "ratio"),
        Measure("plane: whole transport at rest, DTLS included", (after - before) / count, "KiB"),
    ]
