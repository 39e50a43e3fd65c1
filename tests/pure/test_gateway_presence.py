"""Who follows events is told to kendra again and again, in notices of a bounded size."""

import asyncio
from typing import cast

from contracts.ids import MeetingId, ParticipantId, Seat, TenantId
from contracts.live import SeatsSeen
from services.bus import Bus
from services.gateway.presence import Presence
from tests.eventually import eventually


class Told:
    """Takes what a bus is told."""

    def __init__(self) -> None:
        self.notices: list[SeatsSeen] = []

    async def tell(self, _queue: str, notice: SeatsSeen, *_: object) -> None:
        self.notices.append(notice)


async def test_everybody_is_told_of_in_each_round_and_who_left_no_more() -> None:
    told, there = Told(), [f"p{number}" for number in range(1201)]

    def follows() -> list[tuple[TenantId, MeetingId, ParticipantId, Seat]]:
        return [(TenantId("acme"), MeetingId("m"), ParticipantId(name), Seat(2)) for name in there]

    telling = asyncio.create_task(Presence(cast(Bus, told), follows, 0.03).keep_telling())

    async def rounds(number: int) -> bool:
        return len(told.notices) >= 3 * number

    await eventually(lambda: rounds(2))
    assert [len(notice.seats) for notice in told.notices[:6]] == [500, 500, 201] * 2
    assert {seat.participant_id for notice in told.notices[:3] for seat in notice.seats} == set(there)
    there.clear()
    before = len(told.notices)
    there.append("asha")

    async def only_asha() -> bool:
        return [seat.participant_id for seat in told.notices[-1].seats] == ["asha"] and len(told.notices) > before

    await eventually(only_asha)
    telling.cancel()
