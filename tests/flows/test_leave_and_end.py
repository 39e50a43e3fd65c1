"""Leave, kick, end: what hung from a seat or from the meeting closes everywhere."""

import pytest

from services.cli.participant.api import ApiError
from tests.flows.people import Meeting, call_of_two


async def test_leaving_closes_what_hung_from_the_seat_and_the_others_are_told(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (asha, ravi):
        gone = set(asha.sending)
        await asha.leave()

        def told() -> bool:
            closed = {e.body.get("producerId") for e in ravi.events if e.type == "ProducerClosed"}
            return closed == gone and any(e.type == "ParticipantLeft" for e in ravi.events)

        await ravi.until(told, 5)
        assert await meeting.rows("producers") == set()
        assert await meeting.rows("consumers") == set()
        assert len(await meeting.rows("transports")) == 2


async def test_a_kicked_participant_is_out_at_once(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (asha, ravi):
        await meeting.admin.delete(f"{meeting.path}/participants/asha")
        with pytest.raises(ApiError) as refused:
            await asha.api.post(f"{asha.mine}/transports", {"direction": "send"})
        assert refused.value.code == "stale_instance"
        left = lambda: [e.body["reason"] for e in ravi.events if e.type == "ParticipantLeft"]  # noqa: E731
        await ravi.until(lambda: left() == ["kicked"], 5)
        assert await meeting.rows("producers") == set()


async def test_an_ended_meeting_leaves_nothing_and_tells_everybody(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (_, ravi):
        await meeting.admin.delete(meeting.path)
        await ravi.until(lambda: ravi.events[-1].type == "MeetingEnded", 5)
        with pytest.raises(ApiError) as refused:
            await ravi.api.get(meeting.path)
        assert refused.value.status in {404, 409}
        booked = await meeting.system.postgres.fetchval(
            "select count(*) from meetings where meeting = $1 and server is not null", meeting.id
        )
        assert booked == 0


async def test_a_transport_whose_client_says_goodbye_is_cleaned_up(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (asha, ravi):
        assert asha.send_transport is not None
        gone = set(asha.sending)
        await asha.send_transport.close()

        def told() -> bool:
            return {e.body.get("producerId") for e in ravi.events if e.type == "ProducerClosed"} == gone

        await ravi.until(told, 5)
        assert await meeting.rows("producers") == set()
        assert len(await meeting.rows("transports")) == 3
