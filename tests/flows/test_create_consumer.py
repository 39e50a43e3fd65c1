"""Create consumer: what one participant sends, another sees and hears."""

import asyncio
from typing import cast

import pytest

from services.cli.participant.api import ApiError, JsonObject
from services.cli.participant.media import is_picture_of
from services.cli.participant.participant import Participant
from services.cli.participant.rtc import receivable
from tests.flows.people import Meeting, call_of_two, forwarded, of_kind, opus


async def test_the_picture_and_the_tone_are_the_senders(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (asha, ravi):
        video, audio = of_kind(ravi, "video"), of_kind(ravi, "audio")
        await ravi.until(lambda: video.frames >= 30 and audio.frames >= 100, 15)
        assert is_picture_of(asha.signature, video.yuv), video.yuv
        assert len(video.counts) >= 25
        assert audio.hertz == pytest.approx(asha.signature.hertz, abs=12)
        rows = await meeting.system.postgres.fetch(
            "select id, participant, producer from consumers where meeting = $1", meeting.id
        )
        assert {(row["participant"], row["producer"]) for row in rows} == {("ravi", one) for one in asha.sending}


async def test_a_paused_consumer_gets_nothing_until_it_is_resumed(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (_, ravi):
        video = of_kind(ravi, "video")
        await ravi.until(lambda: video.frames >= 5, 10)
        await ravi.api.post(f"{ravi.mine}/consumers/{video.consumer_id}/pause")
        before = await forwarded(ravi, video.consumer_id)
        sound = of_kind(ravi, "audio").frames
        await ravi.until(lambda: of_kind(ravi, "audio").frames > sound + 50, 10)
        assert await forwarded(ravi, video.consumer_id) == before
        await ravi.api.post(f"{ravi.mine}/consumers/{video.consumer_id}/resume")
        seen = video.frames
        await ravi.until(lambda: video.frames > seen + 10, 10)


async def test_without_a_receive_transport_there_is_nothing_to_consume_on(meeting: Meeting) -> None:
    await meeting.create()
    asha, ravi = await meeting.connected("asha"), await meeting.joined("ravi")
    await asha.produce()
    body: JsonObject = {"producerId": next(iter(asha.sending)), "rtpCapabilities": ravi.joined["rtpCapabilities"]}
    with pytest.raises(ApiError) as refused:
        await ravi.api.post(f"{ravi.mine}/consumers", body)
    assert (refused.value.status, refused.value.code) == (404, "transport_not_found")


async def test_capabilities_that_share_no_codec_are_refused(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (asha, ravi):
        body: JsonObject = {
            "producerId": next(iter(asha.sending)),
            "rtpCapabilities": {"codecs": [], "headerExtensions": []},
        }
        with pytest.raises(ApiError) as refused:
            await ravi.api.post(f"{ravi.mine}/consumers", body)
        assert (refused.value.status, refused.value.code) == (422, "unsupported_codec")


async def test_a_producer_of_another_meeting_is_not_found(meeting: Meeting) -> None:
    other = Meeting(meeting.system)
    await other.create()
    stranger = await other.joined("stranger")
    transport = (await stranger.api.post(f"{stranger.mine}/transports", {"direction": "send"}))["id"]
    producer = await stranger.api.post(
        f"{stranger.mine}/producers", {"transportId": transport, "kind": "audio", "rtpParameters": opus(5)}
    )
    await meeting.create()
    ravi = await meeting.connected("ravi")
    with pytest.raises(ApiError) as refused:
        await ravi.consume(str(producer["id"]))
    assert (refused.value.status, refused.value.code) == (404, "producer_not_found")
    await other.end()


async def test_69_seats_can_ask_for_a_consumer_at_once(meeting: Meeting) -> None:
    await meeting.create(participants=70, producers=1)
    asha = await meeting.joined("asha")
    transport = (await asha.api.post(f"{asha.mine}/transports", {"direction": "send"}))["id"]
    producer = await asha.api.post(
        f"{asha.mine}/producers", {"transportId": transport, "kind": "audio", "rtpParameters": opus(7)}
    )
    seats = [await meeting.joined(f"p{n}") for n in range(69)]
    for seat in seats:
        seat.api.budget = 0
    await asyncio.gather(*(seat.api.post(f"{seat.mine}/transports", {"direction": "recv"}) for seat in seats))

    async def consume(seat: Participant) -> JsonObject:
        capabilities = receivable(cast(JsonObject, seat.joined["rtpCapabilities"]))
        body: JsonObject = {"producerId": producer["id"], "rtpCapabilities": capabilities}
        return await seat.api.post(f"{seat.mine}/consumers", body)

    answers = await asyncio.gather(*(consume(seat) for seat in seats))
    assert await meeting.rows("consumers") == {answer["id"] for answer in answers}
    assert len(answers) == 69
