"""What a media server shows on its admin port, read when it is scraped."""

from collections.abc import Iterable, Mapping

from prometheus_client import Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from contracts.ids import WorkerId
from services.media_server.registry import Registry
from sfu.worker import Worker

PREFIX = "doordarshan_media"
DRIFT = Counter("doordarshan_drift", "Differences between memory, rows and wishes that the reconciler found", ["kind"])
DEATHS = Counter(f"{PREFIX}_worker_deaths", "Times that a worker died", ["worker"])
STUCK = Counter(f"{PREFIX}_worker_stuck", "Times that a worker's loop stood still", ["worker"])
SWEEPS = Counter("doordarshan_sweeps", "How often the reconciler compared everything")


class Live(Collector):
    """Objects in memory, and what each worker did: one that is started again begins at 0, as any counter may."""

    def __init__(self, registry: Registry, workers: list[Worker]) -> None:
        self._registry = registry
        self._workers = workers

    def collect(self) -> Iterable[Metric]:
        rooms = self._registry.rooms.values()
        yield _gauge("routers", "Routers in memory", len(rooms))
        yield _gauge("transports", "Transports in memory", sum(len(room.transports) for room in rooms))
        yield _gauge("producers", "Producers in memory", sum(len(room.producers) for room in rooms))
        yield _gauge("consumers", "Consumers in memory", sum(len(room.consumers) for room in rooms))
        yield _gauge("workers", "Workers that run", len(self._workers))
        loads = [(worker.id, worker.load()) for worker in self._workers]
        yield _gauge_of("streams", "Producers and consumers", {id: load.streams for id, load in loads})
        yield _counter_of("packets_received", "Packets received", {id: load.packets_received for id, load in loads})
        yield _counter_of("packets_sent", "Packets sent", {id: load.packets_sent for id, load in loads})
        yield _counter_of("bytes_received", "Bytes received", {id: load.bytes_received for id, load in loads})
        yield _counter_of("bytes_sent", "Bytes sent", {id: load.bytes_sent for id, load in loads})
        yield _counter_of(
            "failures", "Datagrams that a worker could not handle", {id: load.failures for id, load in loads}
        )
        cpu = {id: load.cpu for id, load in loads if load.cpu is not None}
        yield _counter_of("worker_cpu_seconds", "Processor time of a worker's own thread", cpu)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", documentation, value=value)


def _gauge_of(name: str, documentation: str, values: Mapping[WorkerId, float]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", documentation, labels=["worker"])
    for worker, value in values.items():
        family.add_metric([worker], value)
    return family


def _counter_of(name: str, documentation: str, values: Mapping[WorkerId, float]) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}_{name}", documentation, labels=["worker"])
    for worker, value in values.items():
        family.add_metric([worker], value)
    return family
