"""The flows through HTTP, everything on this machine and durable. Joins are of fresh participants, spread over meetings of capacity 500."""

from collections.abc import Callable
from itertools import count
from typing import cast

from bench.client import Client, JsonObject
from bench.measure import Measure, cpu_seconds, one_by_one, open_loop, percentile, side_by_side

MEETINGS = 50
SEATS = 500


class Joins:
    """Fresh participants for prepared meetings, a different meeting each time."""

    def __init__(self, client: Client, prefix: str) -> None:
        self._client, self._prefix, self._fresh = client, prefix, count()

    async def prepare(self) -> None:
        """Create the meetings. A meeting of 500 seats books 500 streams with its one producer."""
        for number in range(MEETINGS):
            await self._client.create(f"{self._prefix}{number}", SEATS, 1)

    async def __call__(self, _: int) -> JsonObject:
        number = next(self._fresh)
        return await self._client.join(f"{self._prefix}{number % MEETINGS}", f"p{number}")


async def measure_joins(client: Client, pids: Callable[[], dict[str, list[int]]]) -> list[Measure]:
    """Join alone, at a fixed rate, and as fast as 32 callers can."""
    join = Joins(client, "join-")
    await join.prepare()
    await one_by_one(100, join)
    alone = await one_by_one(400, join)
    steady = await open_loop(500, 50, join)
    before = {name: cpu_seconds(those) for name, those in pids().items()}
    _, rate = await side_by_side(2000, 32, join)
    cpu = {name: 1000 * (cpu_seconds(those) - before[name]) / 2000 for name, those in pids().items()}
    return [
        Measure("join alone, p50", percentile(alone, 0.5), "ms", 12),
        Measure("join alone, p99", percentile(alone, 0.99), "ms", 40),
        Measure("join at 50/s, open loop, p50", percentile(steady, 0.5), "ms"),
        Measure("join at 50/s, open loop, p99", percentile(steady, 0.99), "ms", 60),
        Measure("join with 32 callers", rate, "1/s", 150),
        Measure("join, CPU over all processes", sum(cpu.values()), "cpu ms", 10),
        *(Measure(f"join, CPU of {name}", value, "cpu ms") for name, value in cpu.items()),
    ]


async def measure_flows(client: Client) -> list[Measure]:
    """Each of the five flows alone, one after the other."""
    fresh = count()

    async def create(_: int) -> JsonObject:
        return await client.create(f"flow-{next(fresh)}", 2, 2)

    await one_by_one(20, create)
    creates = await one_by_one(150, create)
    seat = Seat(client, "flows")
    await seat.sit(producers=400, participants=2)
    other = Seat(client, "flows", "other")
    await other.sit()
    recreates = await one_by_one(100, lambda _: seat.transport("send"))
    send = await seat.transport("send")
    produces = await one_by_one(150, lambda number: seat.produce(send, number))
    await other.transport("recv")
    consumes = await one_by_one(150, lambda number: other.consume(seat.produced[number]))
    measures = [
        Measure("create meeting, p50", percentile(creates, 0.5), "ms", 15),
        Measure("create meeting, p99", percentile(creates, 0.99), "ms"),
    ]
    for name, times in (
        ("recreate transport", recreates),
        ("create producer", produces),
        ("create consumer", consumes),
    ):
        measures += [
            Measure(f"{name}, p50", percentile(times, 0.5), "ms"),
            Measure(f"{name}, p99", percentile(times, 0.99), "ms"),
        ]
    return measures


class Seat:
    """A participant that only talks HTTP: its transports are never connected."""

    def __init__(self, client: Client, meeting: str, name: str = "bench") -> None:
        self._client, self.meeting, self.name = client, meeting, name
        self._path = f"/meetings/{meeting}/participants/{name}"
        self.token, self.produced = "", list[str]()
        self._capabilities: JsonObject = {}

    async def sit(self, *, producers: int | None = None, participants: int = 2) -> None:
        """Join; create the meeting first when its size is given."""
        if producers is not None:
            await self._client.create(self.meeting, participants, producers)
        joined = await self._client.join(self.meeting, self.name)
        self.token = str(joined["participantToken"])
        self._capabilities = cast(JsonObject, joined["rtpCapabilities"])

    async def transport(self, direction: str) -> str:
        """Recreate a transport; return its id."""
        answer = await self._client.post(f"{self._path}/transports", {"direction": direction}, self.token)
        return str(answer["id"])

    async def produce(self, transport: str, number: int) -> str:
        """Create an opus producer with an ssrc of its own."""
        parameters: JsonObject = {
            "codecs": [{"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}],
            "encodings": [{"ssrc": 1000 + number}],
            "rtcp": {"cname": "bench"},
        }
        body: JsonObject = {"transportId": transport, "kind": "audio", "rtpParameters": parameters}
        producer = str((await self._client.post(f"{self._path}/producers", body, self.token))["id"])
        self.produced.append(producer)
        return producer

    async def consume(self, producer: str) -> None:
        """Create a consumer of a producer."""
        body: JsonObject = {"producerId": producer, "rtpCapabilities": self._capabilities}
        await self._client.post(f"{self._path}/consumers", body, self.token)
