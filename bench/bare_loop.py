"""The bare loop, run once: what it cost, how long its packets took."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.tools import Tools, prefer

SERVER_CORE, LOAD_CORE = 0, 1
"""The plane and the bare loop run on the first core, who sends to them and reads from them on the second."""


@dataclass(frozen=True)
class Shape:
    """How a stream is sent: to so many, datagrams of so many bytes, so many together; `fps` 0 is flat out."""

    receivers: int
    bytes: int
    burst: int
    fps: float = 0.0


@dataclass(frozen=True)
class Bare:
    """One run: µs of CPU a packet, the p99 of one-way times in ms, ms that the machine was stolen."""

    micros: float
    p99: float
    stolen: int


async def bare_loop(
    tools: Tools, shape: Shape, seconds: float, *, merge: bool, stamp: bool = False, sender: Path | None = None
) -> Bare:
    """Run it. `stamp`: packets are there when the kernel has them, not when they are read."""
    words: dict[str, object] = {
        "receivers": shape.receivers, "bytes": shape.bytes, "burst": shape.burst, "fps": shape.fps, "seconds": seconds,
        "cpu": SERVER_CORE, "readers": LOAD_CORE, "merge": int(merge), "stamp": int(stamp),
    }  # fmt: skip
    if sender is not None:
        words["sender"] = str(sender)
    process = await asyncio.create_subprocess_exec(
        tools.floor,
        *(f"{key}={value}" for key, value in words.items()),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    prefer(process.pid)
    async with asyncio.timeout(seconds + 20):
        output, _ = await process.communicate()
    counted: dict[str, Any] = json.loads(output)
    return Bare(counted["ns"] / 1000, counted["latency"]["p99"] / 1000, counted["stolen_ms"])
