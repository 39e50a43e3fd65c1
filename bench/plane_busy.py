"""The plane under load and at rest: latency and loss up to 80 % of a core, what becomes of it past that, what idle transports cost."""

import asyncio

from bench.bare_loop import Shape
from bench.measure import Measure
from bench.plane_plan import VIDEO_FPS, Plan, flowing
from bench.plane_session import Published, Session


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
        if plan.plane != "reference":  # it promises nothing there: its control and its packets share one thread
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
