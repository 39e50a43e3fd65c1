"""Join: a seat, the router's capabilities, who is there and up to which event."""

import asyncio

import pytest

from services.cli.participant.api import Api, ApiError
from tests.flows.people import Meeting


async def test_a_participant_learns_capabilities_and_who_is_there(meeting: Meeting) -> None:
    created = await meeting.create()
    await meeting.joined("asha")
    ravi = await meeting.joined("ravi")
    assert ravi.joined["routerId"] == created["routerId"]
    assert {one["participantId"] for one in ravi.joined["participants"]} == {"asha", "ravi"}
    mimes = {codec["mimeType"] for codec in ravi.joined["rtpCapabilities"]["codecs"]}
    assert {"audio/opus", "video/VP8", "video/VP9", "video/H264", "video/AV1"} <= mimes
    assert await meeting.events() == [(1, "MeetingCreated"), (2, "ParticipantJoined"), (3, "ParticipantJoined")]
    assert ravi.joined["lastEventId"] == 3


async def test_fifty_joins_at_once_seat_exactly_the_capacity(meeting: Meeting) -> None:
    await meeting.create(participants=20, producers=2)
    outcomes = await asyncio.gather(*(meeting.joined(f"p{n}") for n in range(50)), return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, ApiError)]
    assert len(outcomes) - len(refused) == 20
    assert {one.code for one in refused} == {"meeting_full"}
    seats = await meeting.system.postgres.fetch(
        "select seat from participants where meeting = $1 and left_at is null order by seat", meeting.id
    )
    assert [row["seat"] for row in seats] == list(range(2, 22))


async def test_another_instance_replaces_the_first_whose_token_is_stale_from_then_on(meeting: Meeting) -> None:
    await meeting.create()
    first = await meeting.connected("asha")
    await first.produce()
    second = Api(meeting.system.url, first.api.token)
    answer = await second.post(f"{meeting.path}/join", {"participantId": "asha", "instanceId": "another"})
    assert [one["participantId"] for one in answer["participants"]] == ["asha"]
    assert answer["producers"] == []
    with pytest.raises(ApiError) as refused:
        await first.api.post(f"{first.mine}/transports", {"direction": "send"})
    assert (refused.value.status, refused.value.code) == (409, "stale_instance")
    assert await meeting.rows("transports") == set()
    await second.close()


async def test_an_invitation_does_not_replace_somebody_who_is_seated(meeting: Meeting) -> None:
    await meeting.create()
    await meeting.joined("asha")
    with pytest.raises(ApiError) as refused:
        await meeting.joined("asha")
    assert (refused.value.status, refused.value.code) == (403, "forbidden")


async def test_a_meeting_that_was_never_created_is_not_found(meeting: Meeting) -> None:
    with pytest.raises(ApiError) as refused:
        await meeting.joined("asha")
    assert (refused.value.status, refused.value.code) == (404, "meeting_not_found")
