"""What a media server shows on its admin port, read when it is scraped."""

from collections.abc import Iterable

from prometheus_client import Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.media_server.registry import Registry
from sfu.worker import Worker

PREFIX = "doordarshan_media"
DRIFT = Counter("doordarshan_drift", "Differences between memory, rows and wishes that the reconciler found", ["kind"])
SWEEPS = Counter("doordarshan_sweeps", "How often the reconciler compared everything")


class Live(Collector):
    """Objects in memory, and packets and bytes of the workers."""

    def __init__(self, registry: Registry, workers: list[Worker]) -> None:
        self._registry = registry
        self._workers = workers

    def collect(self) -> Iterable[Metric]:
        rooms = self._registry.rooms.values()
        yield _gauge("routers", "Routers in memory", len(rooms))
        yield _gauge("transports", "Transports in memory", sum(len(room.transports) for room in rooms))
        yield _gauge("producers", "Producers in memory", sum(len(room.producers) for room in rooms))
        yield _gauge("consumers", "Consumers in memory", sum(len(room.consumers) for room in rooms))
        loads = [worker.load() for worker in self._workers]
        yield _counter("packets_received", "Packets received", sum(load.packets_received for load in loads))
        yield _counter("packets_sent", "Packets sent", sum(load.packets_sent for load in loads))
        yield _counter("bytes_received", "Bytes received", sum(load.bytes_received for load in loads))
        yield _counter("bytes_sent", "Bytes sent", sum(load.bytes_sent for load in loads))
        yield _counter("failures", "Datagrams that a worker could not handle", sum(load.failures for load in loads))


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", documentation, value=value)


def _counter(name: str, documentation: str, value: float) -> Metric:
    return CounterMetricFamily(f"{PREFIX}_{name}", documentation, value=value)
