"""Around a producer: pause, resume, close, list."""

import pytest

from services.cli.participant.api import ApiError
from tests.eventually import eventually
from tests.flows.people import Meeting, call_of_two, forwarded, of_kind, taken_in


async def test_a_paused_producer_is_silent_for_everybody_and_comes_back_with_a_key_frame(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (asha, ravi):
        video = of_kind(ravi, "video")
        await ravi.until(lambda: video.frames >= 5, 10)
        producer = next(one for one, got in ravi.received.items() if got is video)
        await asha.api.post(f"{asha.mine}/producers/{producer}/pause")
        await ravi.until(lambda: any(e.type == "ProducerPaused" for e in ravi.events), 5)
        listed = await ravi.api.get(f"{meeting.path}/producers")
        assert {one["id"]: one["paused"] for one in listed["producers"]}[producer] is True
        sent, came = await forwarded(ravi, video.consumer_id), await taken_in(asha, producer)

        async def still_sending() -> bool:
            return await taken_in(asha, producer) > came + 10

        await eventually(still_sending, within=10)
        assert await forwarded(ravi, video.consumer_id) == sent
        await asha.api.post(f"{asha.mine}/producers/{producer}/resume")
        await ravi.until(lambda: any(e.type == "ProducerResumed" for e in ravi.events), 5)
        seen = video.frames
        await ravi.until(lambda: video.frames > seen + 10, 10)


async def test_a_closed_producer_closes_its_consumers_and_is_listed_no_more(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (asha, ravi):
        producer = next(iter(asha.sending))
        await asha.api.delete(f"{asha.mine}/producers/{producer}")
        await ravi.until(lambda: {"ProducerClosed", "ConsumerClosed"} <= {e.type for e in ravi.events}, 5)
        listed = await ravi.api.get(f"{meeting.path}/producers")
        assert {one["id"] for one in listed["producers"]} == set(asha.sending) - {producer}
        assert len(await meeting.rows("consumers")) == 1


async def test_nobody_pauses_anothers_producer(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (asha, ravi):
        with pytest.raises(ApiError) as refused:
            await ravi.api.post(f"{ravi.mine}/producers/{next(iter(asha.sending))}/pause")
        assert (refused.value.status, refused.value.code) == (404, "producer_not_found")


async def test_details_are_one_snapshot_with_the_callers_own_things(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (asha, ravi):
        details = await ravi.api.get(meeting.path)
        assert {one["id"] for one in details["producers"]} == set(asha.sending)
        assert {one["id"] for one in details["ownConsumers"]} == {one.consumer_id for one in ravi.received.values()}
        assert {one["direction"] for one in details["ownTransports"]} == {"send", "recv"}
        assert details["ownProducers"] == []
        assert details["lastEventId"] == (await meeting.events())[-1][0]
