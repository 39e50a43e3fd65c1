"""How fast a receiver gets its first packet: many one after the other and side by side, and one alone, from the last answer on."""

import asyncio
import time
from typing import cast

from bench.measure import Measure, percentile, side_by_side
from bench.plane_plan import AUDIO_FPS, VIDEO_FPS
from bench.plane_session import Published, Session, session
from bench.tools import Tools

AT_ONCE = 12
BETWEEN, ODD = 0.1, 0.003
"""Seconds between two joins that are taken one at a time, and up to six times so much more: to come at any point of a packet's 20 ms."""


async def joins(tools: Tools, plane: str, count: int) -> list[Measure]:
    """Join as fast as a dozen callers can: transport, ICE, DTLS, consumer, first packet."""
    async with session(tools, plane) as at:
        stream = await at.publish(await at.connect("joins"), "joins", "audio")
        at.rate([stream], AUDIO_FPS)
        await _join(at, stream)
        before = at.cpu()
        times, per_second = await side_by_side(count, AT_ONCE, lambda _: _join(at, stream))
        used = at.cpu() - before
    return [
        Measure("plane: joins to the first packet, on one core", per_second, "1/s", 120),
        Measure("plane: a join of them, p50", percentile(times, 0.5), "ms"),
        Measure("plane: a join of them, p99", percentile(times, 0.99), "ms"),
        Measure("plane: a join of them, CPU of the media server", 1000 * used / count, "cpu ms"),
    ]


async def _join(at: Session, stream: Published) -> str:
    """Connect while the consumer is made, as a client that pipelines does; wait for the first packet. Return the transport."""
    opened = await at.open("joins")
    transport = str(opened["transport"])
    await at.ask("connect", transport=transport, fingerprint=at.load.fingerprint)
    dialled = asyncio.create_task(at.dial(opened))
    await asyncio.sleep(0)  # the load knows the transport before it is told of its stream
    consumed = await at.consumed(transport, stream, announce=True)
    first = at.load.expect("first", consumed.name)
    at.load.order(consumed.order)
    await dialled
    async with asyncio.timeout(30):
        await first
    return transport


async def churn(tools: Tools, plane: str, count: int, seconds: float) -> list[Measure]:
    """Join and leave so often, evenly over so long, beside a stream with twenty receivers; what memory became of it."""
    sizes = list[float]()
    async with session(tools, plane) as at:
        stream = await at.broadcast(20, "video", "joins")
        at.rate([stream], VIDEO_FPS)
        began = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + seconds * number / count - time.monotonic()))
            transport = await _join(at, stream)
            at.load.order(f"close {transport}")
            await at.ask("close", transport=transport)
            sizes.append(cast(float, (await at.ask("memory"))["kib"]))
    warm = sizes[count // 4]
    return [
        Measure(
            f"plane: memory after {count:,} joins and leaves, over that after a quarter", sizes[-1] - warm, "KiB", 1024
        ),
        Measure("plane: memory of the media server then", sizes[-1], "KiB"),
    ]


async def first_audio(tools: Tools, plane: str, count: int) -> list[Measure]:
    """One at a time: the consumer is there, `connect` is answered, now the client dials; when is the first packet there?"""
    times = list[float]()
    async with session(tools, plane) as at:
        stream = await at.publish(await at.connect("joins"), "joins", "audio")
        at.rate([stream], AUDIO_FPS)
        for number in range(count):
            await asyncio.sleep(BETWEEN + ODD * (number % 7))
            opened = await at.open("joins")
            transport = str(opened["transport"])
            await at.ask("connect", transport=transport, fingerprint=at.load.fingerprint)
            consumed = await at.consumed(transport, stream, announce=True)
            first = at.load.expect("first", consumed.name)
            began = time.monotonic()
            dialled = asyncio.create_task(at.dial(opened))
            await asyncio.sleep(0)
            at.load.order(consumed.order)
            await dialled
            async with asyncio.timeout(30):
                at_load = (await first)["at"]
            assert isinstance(at_load, int)
            times.append(at_load / 1e6 - 1000 * began)
    return [
        Measure("plane: first audio packet after the last answer, p50", percentile(times, 0.5), "ms", 25),
        Measure("plane: first audio packet after the last answer, most", max(times), "ms"),
    ]
