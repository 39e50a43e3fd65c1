"""Who follows events in which seat. A seat has few streams; one more ends its oldest, so nobody alone takes up this process' room."""

from collections import defaultdict

from contracts.ids import MeetingId, ParticipantId, Seat, TenantId
from services.gateway.waiting import Queue

MOST_OF_A_SEAT = 4
"""Streams that one seat may follow at a time: one, and what a lost network left behind."""

Owner = tuple[TenantId, MeetingId, ParticipantId, Seat]


class FollowingSeats:
    """The queues of each seat, the oldest first. Who follows without a seat (None) is not noted."""

    def __init__(self) -> None:
        self._queues: dict[Owner, list[Queue]] = defaultdict(list)

    def now(self) -> list[Owner]:
        """Return the seats that somebody follows events in."""
        return list(self._queues)

    def add(self, owner: Owner | None, queue: Queue) -> None:
        """Note that a seat follows; end its oldest streams if it follows too many."""
        if owner is None:
            return
        self._queues[owner].append(queue)
        for old in self._queues[owner][:-MOST_OF_A_SEAT]:
            old.close()

    def remove(self, owner: Owner | None, queue: Queue) -> None:
        """Note that a seat does not follow any more."""
        if owner is None:
            return
        self._queues[owner].remove(queue)
        if not self._queues[owner]:
            del self._queues[owner]
