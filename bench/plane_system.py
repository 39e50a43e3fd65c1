"""One row through the whole system: how fast joins come from a client's HTTP to its first packet, everything durable and on this machine."""

import asyncio
import itertools
import time
from itertools import count
from typing import cast

from bench import peers
from bench.bare_loop import LOAD_CORE
from bench.client import Client, JsonObject
from bench.generator import Generator
from bench.measure import Measure, percentile
from bench.system import KEY, SECRET, measured_system
from bench.tools import Tools, prefer

MEETING = "plane"
AT_ONCE = 6


class Visitor:
    """A participant that talks HTTP, with a peer of the load for its media."""

    def __init__(self, client: Client, load: Generator, name: str) -> None:
        self._client, self._load, self._name = client, load, name
        self._path = f"/meetings/{MEETING}/participants/{name}"
        self._token = ""
        self.capabilities: JsonObject = {}

    async def join(self) -> None:
        """Take a seat."""
        joined = await self._client.join(MEETING, self._name)
        self._token = str(joined["participantToken"])
        self.capabilities = cast(JsonObject, joined["rtpCapabilities"])

    async def post(self, path: str, body: JsonObject) -> JsonObject:
        """Order something in this seat."""
        return await self._client.post(f"{self._path}/{path}", body, self._token)

    async def connect(self, direction: str) -> str:
        """Make a transport and connect to it; return its id."""
        made = await self.post("transports", {"direction": direction})
        transport = str(made["id"])
        dtls: JsonObject = {
            "role": "client",
            "fingerprints": [{"algorithm": "sha-256", "value": self._load.fingerprint}],
        }
        ice, (candidate, *_) = (
            cast(JsonObject, made["iceParameters"]),
            cast(list[JsonObject], made["iceCandidates"]),
        )
        (fingerprint, *_) = cast(list[JsonObject], cast(JsonObject, made["dtlsParameters"])["fingerprints"])
        await self.post(f"transports/{transport}/connect", {"dtlsParameters": dtls})
        given: JsonObject = {
            "to": f"{candidate['address']}:{candidate['port']}",
            "fragment": ice["usernameFragment"],
            "password": ice["password"],
            "fingerprint": fingerprint["value"],
        }
        await peers.dial(self._load, transport, given)
        return transport


async def joins_through_the_system(tools: Tools, plane: str, number: int) -> list[Measure]:
    """Join, make and connect a receive transport, consume, get the first packet: with six callers at once."""
    fresh, times = count(), list[float]()
    async with measured_system({"DOORDARSHAN_PLANE": plane}) as system:
        for pid in itertools.chain(*system.pids().values()):
            prefer(pid)
        client, load = Client(system.url, KEY, SECRET), await Generator.start(tools.load, LOAD_CORE)
        await client.create(MEETING, number + 2, 1)
        speaker = Visitor(client, load, "speaker")
        await speaker.join()
        producer = await _speak(speaker, load)

        async def visit() -> None:
            began = time.monotonic()
            visitor = Visitor(client, load, f"v{next(fresh)}")
            await visitor.join()
            transport = await visitor.connect("recv")
            body: JsonObject = {"producerId": producer, "rtpCapabilities": visitor.capabilities, "paused": False}
            made = await visitor.post("consumers", body)
            told = peers.consumed(transport, "audio", cast(JsonObject, made["rtpParameters"]), announce=True)
            first = load.expect("first", told.name)
            load.order(told.order)
            async with asyncio.timeout(30):
                await first
            times.append(1000 * (time.monotonic() - began))

        await visit()
        times.clear()
        numbers = iter(range(number))

        refused = 0

        async def caller() -> None:
            nonlocal refused
            for _ in numbers:
                try:
                    await visit()
                except RuntimeError:  # a busy machine answers 503 with Retry-After; a client would try again
                    refused += 1

        began = time.monotonic()
        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
        elapsed = time.monotonic() - began
        await load.close()
        await client.close()
    note = f"{refused} of {number} refused" if refused else ""
    return [
        Measure("plane: joins to the first packet, through the whole system", len(times) / elapsed, "1/s", None, note),
        Measure("plane: a join of them through the whole system, p50", percentile(times, 0.5), "ms"),
    ]


async def _speak(speaker: Visitor, load: Generator) -> str:
    """Publish audio; return the producer."""
    transport = await speaker.connect("send")
    ssrc = 0x1000_0000
    body: JsonObject = {
        "transportId": transport,
        "kind": "audio",
        "rtpParameters": peers.published("audio", ssrc, "0"),
    }
    producer = str((await speaker.post("producers", body))["id"])
    load.order(peers.publish_order(transport, producer, "audio", ssrc))
    load.order(f"rate {producer} fps=50")
    return producer
