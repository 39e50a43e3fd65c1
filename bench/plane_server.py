"""The measured side of the plane's benchmark: workers of `sfu` as a media server has them, driven by JSON lines on standard input.

An order is `{"id": n, "do": …}`, its answer `{"id": n, …}`, with `error` if it was refused. Runs until its input ends.
"""

import asyncio
import ctypes
import gc
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import uvloop

from bench.client import JsonObject
from contracts.ids import ConsumerId, ProducerId, RouterId, TransportId, WorkerId
from contracts.rtp import DtlsFingerprint, DtlsParameters, Kind, RtpCapabilities, RtpParameters
from sfu.router import Router
from sfu.transport import WebRtcTransport
from sfu.worker import PlaneName, Worker, WorkerSettings

KILO = 1024


class Server:
    """What is open, and the orders that change it."""

    def __init__(self, workers: list[Worker]) -> None:
        self._workers = workers
        self._routers: dict[str, Router] = {}
        self._transports: dict[str, WebRtcTransport] = {}
        self._orders: dict[str, Callable[[JsonObject], JsonObject]] = {
            "open": self._open,
            "produce": self._produce,
            "consume": self._consume,
            "close": self._close,
            "memory": self._memory,
            "failures": self._failures,
        }

    async def obey(self, order: JsonObject) -> JsonObject:
        """Carry out an order; return its answer."""
        try:
            if order["do"] == "connect":
                return await self._connect(order)
            return self._orders[str(order["do"])](order)
        except Exception as error:
            return {"error": repr(error)}

    def _open(self, order: JsonObject) -> JsonObject:
        worker = self._workers[cast(int, order.get("worker", 0))]
        name = str(order["router"])
        router = self._routers.get(name) or worker.create_router(RouterId(name))
        self._routers[name] = router
        transport = router.create_webrtc_transport(TransportId(str(order["transport"])))
        self._transports[transport.id] = transport
        candidate = transport.ice_candidates[0]
        return {
            "to": f"{candidate.address}:{candidate.port}",
            "fragment": transport.ice_parameters.username_fragment,
            "password": transport.ice_parameters.password,
            "fingerprint": transport.dtls_parameters.fingerprints[0].value,
        }

    async def _connect(self, order: JsonObject) -> JsonObject:
        fingerprint = DtlsFingerprint(algorithm="sha-256", value=str(order["fingerprint"]))
        transport = self._transports[str(order["transport"])]
        await transport.connect(DtlsParameters(role="client", fingerprints=[fingerprint]))
        return {}

    def _produce(self, order: JsonObject) -> JsonObject:
        transport = self._transports[str(order["transport"])]
        parameters = RtpParameters.model_validate(order["parameters"])
        transport.produce(ProducerId(str(order["producer"])), Kind(str(order["kind"])), parameters, paused=False)
        return {}

    def _consume(self, order: JsonObject) -> JsonObject:
        transport = self._transports[str(order["transport"])]
        capabilities = RtpCapabilities.model_validate(transport.router.rtp_capabilities)
        name, producer = ConsumerId(str(order["consumer"])), ProducerId(str(order["producer"]))
        consumer = transport.consume(name, producer, capabilities, paused=False)
        return consumer.rtp_parameters.as_json()

    def _close(self, order: JsonObject) -> JsonObject:
        self._transports.pop(str(order["transport"])).close()
        return {}

    def _memory(self, _: JsonObject) -> JsonObject:
        return {"kib": resident()}

    def _failures(self, _: JsonObject) -> JsonObject:
        return {"failures": sum(worker.load().failures for worker in self._workers)}


def resident() -> float:
    """Return the KiB that are in memory once what is free was given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / KILO


async def serve(plane: PlaneName, workers: int) -> None:
    """Open the workers and obey."""
    settings = [WorkerSettings(id=WorkerId(f"worker-{number}"), plane=plane) for number in range(workers)]
    server = Server([await Worker.create(each) for each in settings])
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        order = json.loads(line)
        answer = {**await server.obey(order), "id": order["id"]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve(cast(PlaneName, sys.argv[1]), int(sys.argv[2])))
