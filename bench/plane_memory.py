"""What the plane keeps for a transport and for a consumer at rest: orders given at the seat itself, so that nothing else grows.

`python -m bench.plane_memory PLANE` prints the KiB of one of each.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import cast

from bench.measure import Measure
from bench.plane_server import resident
from contracts.ids import ConsumerId, ProducerId, TransportId
from contracts.rtp import Kind
from sfu.plane import seat
from sfu.worker import PlaneName, Worker, WorkerSettings

PROFILE = "SRTP_AEAD_AES_128_GCM"
TRANSPORTS, CONSUMERS = 1000, 10
"""Transports, and consumers on each."""
SETTLE = 0.5
"""Seconds in which a plane has carried out what it was ordered: nobody tells when it has."""


async def memory(plane: str) -> list[Measure]:
    """Measure in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.plane_memory", plane, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    transport, consumer = json.loads(output)
    return [
        Measure("plane: memory of a transport at rest", transport, "KiB", 16),
        Measure("plane: memory of a consumer at rest", consumer, "KiB", 10),
    ]


async def _measured(plane: PlaneName) -> tuple[float, float]:
    worker = await Worker.create(WorkerSettings(plane=plane))
    order = worker.plane.order
    for number in range(100):
        _transport(order, f"warm{number}")
    await asyncio.sleep(SETTLE)
    before = resident()
    for number in range(TRANSPORTS):
        _transport(order, f"t{number}")
    await asyncio.sleep(SETTLE)
    transports = resident()
    _producer(order)
    for number in range(TRANSPORTS):
        for each in range(CONSUMERS):
            _consumer(order, f"t{number}", f"c{number}-{each}", 10_000 + 2 * (number * CONSUMERS + each))
    await asyncio.sleep(SETTLE)
    consumers = resident()
    await worker.close()
    return (transports - before) / TRANSPORTS, (consumers - transports) / (TRANSPORTS * CONSUMERS)


def _transport(order: Callable[[seat.Order], None], name: str) -> None:
    order(seat.OpenTransport(TransportId(name), seat.IceCredentials(name, "p" * 32)))
    order(seat.SecureTransport(TransportId(name), PROFILE, b"r" * 28, b"s" * 28))


def _producer(order: Callable[[seat.Order], None]) -> None:
    codec = seat.Codec("video/VP8", 90_000, 96, 101, 97)
    order(
        seat.AddProducer(
            TransportId("warm0"), ProducerId("producer"), Kind.VIDEO, (codec,), {}, 1, 2, None,
            nack=True, pli=True, fir=False, transport_cc=False, paused=False,
        )
    )  # fmt: skip


def _consumer(order: Callable[[seat.Order], None], transport: str, name: str, ssrc: int) -> None:
    extensions = {"urn:ietf:params:rtp-hdrext:sdes:mid": 1}
    order(
        seat.AddConsumer(
            TransportId(transport), ConsumerId(name), ProducerId("producer"), ssrc, ssrc + 1, {101: 102},
            extensions, "0", "bench", 1, 1, paused=False,
        )
    )  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measured(cast(PlaneName, sys.argv[1])))))
