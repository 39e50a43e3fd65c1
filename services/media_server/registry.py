"""What is live: the rooms, and the fence of epochs. What died while its allocation stands is here too.

Epochs only grow: a command of another epoch than the room's is `stale_epoch`.
"""

from collections.abc import Callable

from contracts.failure import MediaServerUnavailable, StaleEpoch
from contracts.ids import Epoch, RouterId
from contracts.live import LostRouter
from services.bus.call import Call
from services.media_server.lines import Key
from services.media_server.room import Room
from sfu.worker import Worker


class Registry:
    """The rooms of this server, at most one a meeting; routers being made; and routers that are gone while their allocations stand."""

    def __init__(self) -> None:
        self.rooms: dict[Key, Room] = {}
        self.making: set[RouterId] = set()
        self.lost: dict[Key, LostRouter] = {}

    def room(self, call: Call) -> Room:
        """Return the room a command means.

        Raises StaleEpoch when this server has none of that epoch (any more), MediaServerUnavailable when its router is lost: the
        meeting is about to move.
        """
        self.must_not_be_lost(call)
        room = self.rooms.get((call.tenant, call.meeting))
        if room is None or room.epoch != call.epoch or room.leaving:
            raise StaleEpoch
        return room

    def must_not_be_lost(self, call: Call) -> None:
        """Raise MediaServerUnavailable if the router of the call's epoch is lost."""
        lost = self.lost.get((call.tenant, call.meeting))
        if lost is not None and lost.epoch == call.epoch:
            raise MediaServerUnavailable("the meeting's router was lost; the meeting is being moved")

    def make(self, room: Room) -> tuple[Callable[[], None], Callable[[], None]]:
        """Take note of a router that is being allocated; return what is to be called when it was, and when it was not."""
        self.making.add(room.router.id)

        def landed() -> None:
            self.making.discard(room.router.id)
            self.open(room)

        def failed() -> None:
            self.making.discard(room.router.id)
            room.router.close()

        return landed, failed

    def open(self, room: Room) -> None:
        """Begin to serve a room; one of an older epoch closes. One whose worker died meanwhile is lost."""
        self.close(room.key, below=room.epoch)
        self.rooms[room.key] = room
        if room.router.closed:
            self.lose(room)

    def close(self, key: Key, *, below: int) -> None:
        """Close the meeting's router in memory if its epoch is lower than `below`, and forget that one was lost."""
        lost = self.lost.get(key)
        if lost is not None and lost.epoch < below:
            del self.lost[key]
        room = self.rooms.get(key)
        if room is not None and room.epoch < below:
            del self.rooms[key]
            room.router.close()

    def lose(self, room: Room) -> None:
        """Close a router whose allocation stays; if the meeting has moved already, nobody misses it."""
        del self.rooms[room.key]
        room.router.close()
        if not room.leaving:
            self.miss(room.key, room.epoch, room.router.id)

    def miss(self, key: Key, epoch: Epoch, router: RouterId) -> None:
        """Take note that an allocation has no router."""
        tenant, meeting = key
        self.lost[key] = LostRouter(tenant=tenant, meeting_id=meeting, epoch=epoch, router_id=router)

    def lose_all(self, worker: Worker) -> None:
        """Lose every router of a worker."""
        for room in [room for room in self.rooms.values() if room.router.worker is worker]:
            self.lose(room)
