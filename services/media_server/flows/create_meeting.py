"""Create meeting, the media server's part: a router on the least loaded worker, and the allocation in the rows."""

from collections import Counter
from collections.abc import Iterable

from contracts.create_meeting import AllocateRouter, RouterAllocated
from contracts.failure import MediaServerUnavailable, StaleEpoch
from contracts.ids import RouterId
from contracts.join_meeting import RouterCapabilities
from contracts.rtp import RtpCapabilities
from services.bus import Call
from services.media_server.room import Room, new_id
from services.media_server.store import meant
from services.media_server.world import World
from sfu.worker import Worker


async def allocate_router(order: AllocateRouter, call: Call, world: World) -> RouterAllocated:
    """Make the meeting's router and write its allocation, if the meeting wants this boot at this epoch; else StaleEpoch.

    An epoch has one router: where it was lost, MediaServerUnavailable until the meeting has moved.
    """
    epoch = meant(call).epoch
    world.registry.must_not_be_lost(call)
    room = world.registry.rooms.get((call.tenant, call.meeting))
    if room is not None and room.epoch == epoch:
        return _allocated(room)
    if room is not None and room.epoch > epoch:
        raise StaleEpoch
    room = _room(call, order, least_loaded(world.workers, world.registry.rooms.values()))
    allocated = _allocated(room)
    landed, failed = world.registry.make(room)
    async with world.recorder.allocating(call, allocated, landed=landed, failed=failed) as (record, producer_limit):
        room.producer_limit = producer_limit
        await record.allocation(room)
    return allocated


def least_loaded(workers: list[Worker], rooms: Iterable[Room]) -> Worker:
    """Return the worker that is booked least; of equals the one with the fewest streams now. Raises MediaServerUnavailable."""
    if not workers:
        raise MediaServerUnavailable("no worker of this server runs just now")
    booked = Counter[str]()
    for room in rooms:
        booked[room.router.worker.id] += 0 if room.leaving else room.booked
    return min(workers, key=lambda worker: (booked[worker.id], worker.load().streams, len(worker.routers)))


def _room(call: Call, order: AllocateRouter, worker: Worker) -> Room:
    router = worker.create_router(RouterId(new_id(meant(call).epoch)))
    capabilities = RouterCapabilities(
        router_id=router.id, rtp_capabilities=RtpCapabilities.model_validate(router.rtp_capabilities)
    )
    booked, limit = order.capacity.participants * order.capacity.producers, order.capacity.producers
    return Room(call.tenant, call.meeting, meant(call).epoch, router, limit, capabilities, booked)


def _allocated(room: Room) -> RouterAllocated:
    return RouterAllocated(router_id=room.router.id, worker_id=room.router.worker.id)
