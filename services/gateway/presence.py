"""Presence: while somebody follows a meeting's events in a seat, kendra is told so again and again.

It keeps a seat whose transports wait for a peer, as those of who is alone in a meeting do: nothing else tells such a page from one that
is gone. A notice may be lost; the next one says the same.
"""

import asyncio
from collections.abc import Callable, Collection

from contracts.live import SeatsSeen, SeenSeat
from services.bus import KENDRA_COMMANDS, NO_MEETING, NO_TENANT, Bus, Call
from services.gateway.following_seats import Owner

_AT_ONCE = 500
"""Seats that one notice names."""
_WITHIN = 5.0


class Presence:
    """Tells kendra each `every` seconds who `follows` now: the notices are spread over that time."""

    def __init__(self, bus: Bus, follows: Callable[[], Collection[Owner]], every: float) -> None:
        self._bus, self._follows, self._every = bus, follows, every

    async def keep_telling(self) -> None:
        """Go on for ever."""
        while True:
            notices = _notices(self._follows())
            for notice in notices:
                await self._tell(notice)
                await asyncio.sleep(self._every / len(notices))
            if not notices:
                await asyncio.sleep(self._every)

    async def _tell(self, notice: SeatsSeen) -> None:
        await self._bus.tell(KENDRA_COMMANDS, notice, Call.begin(NO_TENANT, NO_MEETING, _WITHIN), _WITHIN)


def _notices(owners: Collection[Owner]) -> list[SeatsSeen]:
    seats = [
        SeenSeat(tenant=tenant, meeting_id=meeting, participant_id=participant, seat=seat)
        for tenant, meeting, participant, seat in owners
    ]
    return [SeatsSeen(seats=seats[start : start + _AT_ONCE]) for start in range(0, len(seats), _AT_ONCE)]
