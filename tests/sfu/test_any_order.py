"""Whatever is made, paused and closed in whatever order: control and plane know of the same things, and each closes once."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.ids import ConsumerId, ProducerId, RouterId, TransportId
from contracts.rtp import Kind, RtpParameters
from sfu.closed import Closed
from sfu.plane import native
from sfu.plane.native import NativePlane
from sfu.worker import PlaneName, Worker, WorkerSettings
from tests.sfu.peer import capabilities

number = st.integers(0, 1000)


def opus(ssrc: int) -> RtpParameters:
    codec = {"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}
    return RtpParameters.model_validate({"codecs": [codec], "encodings": [{"ssrc": ssrc}], "rtcp": {"cname": "c"}})


class AnyOrder(RuleBasedStateMachine):
    """A worker with two routers, used without a peer."""

    plane: PlaneName = "reference"

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.worker = self.runner.run(Worker.create(WorkerSettings(plane=self.plane)))
        for name in ("one", "two"):
            self.do(lambda name=name: self.worker.create_router(RouterId(name)))
        self.made = 0
        self.closed: list[int] = []

    def do(self, action: Callable[[], object]) -> object:
        async def run() -> object:
            return action()

        return self.runner.run(run())

    def name(self, what: str) -> str:
        self.made += 1
        return f"{what}{self.made}"

    @property
    def transports(self) -> list:
        return list(self.worker.transports.values())

    @property
    def streams(self) -> list:
        consumers = [consumer for each in self.transports for consumer in each.consumers.values()]
        return [*self.worker.producers.values(), *consumers]

    def note(self, closed: Closed) -> None:
        self.closed += [id(each) for each in (*closed.transports, *closed.producers, *closed.consumers)]
        self.kept = [*getattr(self, "kept", []), closed]  # so that no id is used again

    @precondition(lambda self: self.worker.routers)
    @rule(which=number)
    def make_a_transport(self, which: int) -> None:
        routers = list(self.worker.routers.values())
        self.do(lambda: routers[which % len(routers)].create_webrtc_transport(TransportId(self.name("t"))))

    @precondition(lambda self: self.transports)
    @rule(which=number, paused=st.booleans())
    def produce(self, which: int, paused: bool) -> None:
        transport, name = self.transports[which % len(self.transports)], self.name("p")
        self.do(lambda: transport.produce(ProducerId(name), Kind.AUDIO, opus(1000 + self.made), paused))

    @precondition(lambda self: self.transports)
    @rule(which=number, what=number, paused=st.booleans())
    def consume(self, which: int, what: int, paused: bool) -> None:
        transport = self.transports[which % len(self.transports)]
        producers = list(transport.router.producers.values())
        if producers:
            caps = capabilities(transport.router.rtp_capabilities)
            wanted = producers[what % len(producers)].id
            self.do(lambda: transport.consume(ConsumerId(self.name("c")), wanted, caps, paused))

    @precondition(lambda self: self.streams)
    @rule(which=number, verb=st.sampled_from(["pause", "resume", "stats"]))
    def use(self, which: int, verb: str) -> None:
        self.do(getattr(self.streams[which % len(self.streams)], verb))

    @precondition(lambda self: self.streams)
    @rule(which=number)
    def close_a_stream(self, which: int) -> None:
        self.note(self.do(self.streams[which % len(self.streams)].close))

    @precondition(lambda self: self.transports)
    @rule(which=number)
    def close_a_transport(self, which: int) -> None:
        self.note(self.do(self.transports[which % len(self.transports)].close))

    @precondition(lambda self: len(self.worker.routers) == 2)
    @rule()
    def close_a_router(self) -> None:
        self.note(self.do(self.worker.routers[RouterId("two")].close))

    def plane_objects(self) -> Any:
        """Return what has the plane's own `transports`, `producers` and `consumers`."""
        return self.worker.plane._core

    @invariant()
    def control_and_plane_agree(self) -> None:
        core = self.plane_objects()
        assert set(core.transports) == set(self.worker.transports)
        assert set(core.producers) == set(self.worker.producers)
        consumers = {consumer.id for each in self.transports for consumer in each.consumers.values()}
        assert set(core.consumers) == consumers
        assert consumers == {each for producer in self.worker.producers.values() for each in producer.consumers}
        routed = [router.transports for router in self.worker.routers.values()]
        assert set().union(*routed) == set(self.worker.transports)
        assert len(self.closed) == len(set(self.closed))
        assert len(self.closed) + len(self.transports) + len(self.streams) == self.made

    def teardown(self) -> None:
        self.runner.run(self.worker.close())
        self.runner.close()


class AnyOrderInSilence(AnyOrder):
    """The same on a plane that nobody hears: it must know of the same things."""

    plane: PlaneName = "silent"

    def plane_objects(self) -> Any:
        return self.worker.plane


class Counted:
    """What a plane counts: it knows of whatever it has counters of."""

    def __init__(self, plane: NativePlane, ever: Iterable[str]) -> None:
        names = list(ever)
        self.transports = {name for name in names if self._known(plane.transport_stats, name)}
        self.producers = {name for name in names if self._known(plane.producer_stats, name)}
        self.consumers = {name for name in names if self._known(plane.consumer_stats, name)}

    @staticmethod
    def _known(stats: Callable[[Any], object], name: str) -> bool:
        try:
            stats(name)
        except KeyError:
            return False
        return True


class AnyOrderNatively(AnyOrder):
    """The same on the native plane, whose thread carries the orders out meanwhile."""

    plane: PlaneName = "native"

    def plane_objects(self) -> Any:
        return Counted(self.worker.plane, (f"{what}{made}" for what in "tpc" for made in range(1, self.made + 1)))


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestAnyOrderInSilence = AnyOrderInSilence.TestCase
TestAnyOrderInSilence.settings = settings(max_examples=10, stateful_step_count=30, deadline=None)

if not native.missing():
    TestAnyOrderNatively = AnyOrderNatively.TestCase
    TestAnyOrderNatively.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
