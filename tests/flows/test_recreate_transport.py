"""Recreate transport: the old ones go with all that hangs from them, the new one carries media."""

import pytest

from services.cli.participant.api import ApiError
from tests.flows.people import Meeting, call_of_two, of_kind


async def test_the_old_transport_goes_with_its_producers_and_everybody_is_told(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (asha, ravi):
        old = set(asha.sending)
        answer = await asha.api.post(f"{asha.mine}/transports", {"direction": "send"})
        assert set(answer["closedProducerIds"]) == old
        assert await meeting.rows("producers") == set()
        assert await meeting.rows("consumers") == set()
        assert len(await meeting.rows("transports")) == 4

        def told() -> bool:
            closed = {e.body.get("producerId") for e in ravi.events if e.type == "ProducerClosed"}
            consumers = [e for e in ravi.events if e.type == "ConsumerClosed"]
            return closed == old and len(consumers) == 2

        await ravi.until(told, 5)


async def test_pictures_come_back_over_the_new_transport(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (asha, ravi):
        await ravi.until(lambda: of_kind(ravi, "video").frames > 5, 10)
        ravi.received.clear()
        asha.sending.clear()
        asha.send_transport = await asha.new_transport("send")
        await asha.produce()
        for producer in asha.sending:
            await ravi.consume(producer)
        await ravi.until(lambda: of_kind(ravi, "video").frames > 5 and of_kind(ravi, "audio").frames > 20, 10)


async def test_the_other_direction_and_other_participants_are_untouched(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (asha, ravi):
        before = await meeting.rows("transports")
        await ravi.api.post(f"{ravi.mine}/transports", {"direction": "send"})
        assert len(before & await meeting.rows("transports")) == 3
        assert await meeting.rows("producers") == set(asha.sending)
        seen = of_kind(ravi, "video").frames
        await ravi.until(lambda: of_kind(ravi, "video").frames > seen + 5, 10)


async def test_a_repeat_with_the_same_key_makes_one_transport(meeting: Meeting) -> None:
    await meeting.create()
    asha = await meeting.joined("asha")
    answers = [await asha.api.post(f"{asha.mine}/transports", {"direction": "recv"}, key="the-same") for _ in range(2)]
    assert answers[0] == answers[1]
    assert await meeting.rows("transports") == {answers[0]["id"]}


async def test_another_participants_path_is_forbidden(meeting: Meeting) -> None:
    await meeting.create()
    asha, ravi = await meeting.joined("asha"), await meeting.joined("ravi")
    with pytest.raises(ApiError) as refused:
        await asha.api.post(f"{ravi.mine}/transports", {"direction": "send"})
    assert (refused.value.status, refused.value.code) == (403, "forbidden")
