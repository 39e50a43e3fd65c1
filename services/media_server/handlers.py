"""The media server's table of contents: which flow carries out which command, and around each the lease, the line and one effect."""

import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar, cast

from contracts.consumers import CloseConsumer, PauseConsumer, RequestKeyFrame, ResumeConsumer, SetPreferredLayers
from contracts.create_consumer import CreateConsumer
from contracts.create_meeting import AllocateRouter
from contracts.create_producer import CreateProducer
from contracts.details import GetConsumerStats, GetProducerStats, GetTransportStats
from contracts.end_meeting import CloseRouter
from contracts.join_meeting import CloseSeats, GetRouterCapabilities
from contracts.live import ListLive
from contracts.message import Command, Reply
from contracts.producers import CloseProducer, PauseProducer, ResumeProducer
from contracts.recreate_transport import ReplaceTransports
from contracts.transports import CloseTransport, ConnectTransport, RestartIce
from services.bus import Call, Handlers
from services.media_server.errors import translated
from services.media_server.flows.consumers import (
    close_consumer,
    pause_consumer,
    request_key_frame,
    resume_consumer,
    set_preferred_layers,
)
from services.media_server.flows.create_consumer import create_consumer
from services.media_server.flows.create_meeting import allocate_router
from services.media_server.flows.create_producer import create_producer
from services.media_server.flows.details import get_consumer_stats, get_producer_stats, get_transport_stats
from services.media_server.flows.end_meeting import close_router
from services.media_server.flows.join_meeting import close_seats, get_router_capabilities
from services.media_server.flows.live import list_live
from services.media_server.flows.producers import close_producer, pause_producer, resume_producer
from services.media_server.flows.recreate_transport import replace_transports
from services.media_server.flows.transports import close_transport, connect_transport, restart_ice
from services.media_server.world import World

R = TypeVar("R", bound=Reply)
OrderT = TypeVar("OrderT", bound=Command[Reply])
Flow = Callable[[OrderT, Call, World], Coroutine[None, None, R]]
Handled = Callable[[OrderT, Call, World], Awaitable[R]]


def recorded(flow: Flow[OrderT, R]) -> Handled[OrderT, R]:
    """Carry out in the meeting's line, once per command id, as long as the lease holds."""

    async def handle(order: OrderT, call: Call, world: World) -> R:
        async def work() -> R:
            with translated():
                return await flow(order, call, world)

        world.lease.must_hold(time.monotonic())
        return await world.once(call, cast(type[R], order.reply_type()), work)

    return handle


def unrecorded(flow: Flow[OrderT, R]) -> Handled[OrderT, R]:
    """Answer from memory at once, as long as the lease holds: what changes nothing that is kept waits for nobody."""

    async def handle(order: OrderT, call: Call, world: World) -> R:
        world.lease.must_hold(time.monotonic())
        with translated():
            return await flow(order, call, world)

    return handle


HANDLERS: Handlers = {
    AllocateRouter: recorded(allocate_router),
    GetRouterCapabilities: unrecorded(get_router_capabilities),
    CloseSeats: recorded(close_seats),
    CloseRouter: recorded(close_router),
    ReplaceTransports: recorded(replace_transports),
    ConnectTransport: recorded(connect_transport),
    RestartIce: recorded(restart_ice),
    CloseTransport: recorded(close_transport),
    CreateProducer: recorded(create_producer),
    PauseProducer: recorded(pause_producer),
    ResumeProducer: recorded(resume_producer),
    CloseProducer: recorded(close_producer),
    CreateConsumer: recorded(create_consumer),
    PauseConsumer: recorded(pause_consumer),
    ResumeConsumer: recorded(resume_consumer),
    CloseConsumer: recorded(close_consumer),
    SetPreferredLayers: recorded(set_preferred_layers),
    RequestKeyFrame: unrecorded(request_key_frame),
    GetTransportStats: unrecorded(get_transport_stats),
    GetProducerStats: unrecorded(get_producer_stats),
    GetConsumerStats: unrecorded(get_consumer_stats),
    ListLive: unrecorded(list_live),
}
