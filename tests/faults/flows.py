"""The flows that go through the points: how each is made ready, what is ordered, and who judges how it went."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.faults import judging
from tests.faults.caller import Order, Repeatable
from tests.faults.demands import Judge
from tests.faults.stage import DTLS, NEWCOMER, SENDER, WITNESS, Stage


@dataclass(frozen=True)
class Flow:
    """One flow. `refused`: the code with which it is answered when nothing is amiss, if it is no success."""

    prepare: Callable[[Stage], Awaitable[None]]
    order: Callable[[Stage], Repeatable]
    judge: Judge
    reads_as: str = WITNESS
    refused: str = ""


async def _nothing(stage: Stage) -> None:
    """Nothing is there before."""


async def _witness(stage: Stage) -> None:
    await stage.seat(WITNESS)


FLOWS: dict[str, Flow] = {
    "create_meeting": Flow(_nothing, Stage.creation, judging.created, reads_as=""),
    "join_meeting": Flow(_witness, lambda stage: stage.joining(NEWCOMER), judging.newcomer_joined),
    "replace_instance": Flow(Stage.with_consumer, lambda stage: stage.joining(SENDER), judging.replaced),
    "recreate_send": Flow(Stage.with_consumer, lambda stage: stage.transport(SENDER, "send"), judging.send_recreated),
    "recreate_recv": Flow(Stage.with_consumer, lambda stage: stage.transport(WITNESS, "recv"), judging.recv_recreated),
    "create_producer": Flow(Stage.with_transports, Stage.producing, judging.produced),
    "create_consumer": Flow(Stage.with_producer, Stage.consuming, judging.consumed),
    "leave_meeting": Flow(
        Stage.with_consumer, lambda stage: stage.order("POST", f"{stage.path}/leave", SENDER, {}), judging.left
    ),
    "end_meeting": Flow(Stage.with_consumer, lambda stage: Order("DELETE", stage.path, stage.admin()), judging.ended),
    "close_producer": Flow(Stage.with_consumer, lambda stage: stage.closing("producer"), judging.producer_closed),
    "connect_transport": Flow(
        Stage.with_transports,
        lambda stage: stage.about("send", "connect", {"dtlsParameters": DTLS}),
        judging.both_transports,
    ),
    "restart_ice": Flow(Stage.with_transports, lambda stage: stage.about("send", "restart-ice"), judging.ice_restarted),
    "close_transport": Flow(Stage.with_consumer, lambda stage: stage.closing("send"), judging.transport_closed),
    "pause_producer": Flow(
        Stage.with_producer, lambda stage: stage.about("producer", "pause"), judging.producer_is(paused=True)
    ),
    "resume_producer": Flow(
        Stage.with_paused_producer, lambda stage: stage.about("producer", "resume"), judging.producer_is(paused=False)
    ),
    "close_consumer": Flow(Stage.with_consumer, lambda stage: stage.closing("consumer"), judging.consumer_closed),
    "pause_consumer": Flow(
        Stage.with_resumed_consumer, lambda stage: stage.about("consumer", "pause"), judging.consumer_is(paused=True)
    ),
    "resume_consumer": Flow(
        Stage.with_consumer, lambda stage: stage.about("consumer", "resume"), judging.consumer_is(paused=False)
    ),
    "set_preferred_layers": Flow(
        Stage.with_consumer,
        lambda stage: stage.about("consumer", "layers", {"spatialLayer": 0}),
        judging.refused,
        refused="invalid_state",
    ),
    "kick_participant": Flow(Stage.with_consumer, lambda stage: stage.kicking(SENDER), judging.kicked),
    "drain_server": Flow(Stage.to_be_drained, Stage.draining, judging.server_is(draining=True)),
    "routers_lost": Flow(Stage.with_consumer, Stage.losing, judging.moved),
    "undrain_server": Flow(Stage.drained, lambda stage: stage.draining("DELETE"), judging.server_is(draining=False)),
}
