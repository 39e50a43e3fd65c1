"""Events over SSE: in order, without a gap, and from where the reader stopped."""

import asyncio

import pytest

from services.cli.participant.api import Api, ApiError, ServerEvent
from tests.flows.people import Meeting, opus
from tests.truth import rows_equal_memory


async def read(api: Api, meeting: Meeting, after: int | None, count: int) -> list[ServerEvent]:
    """Return the next `count` events."""
    found: list[ServerEvent] = []
    async with asyncio.timeout(10):
        async for event in api.events(f"{meeting.path}/events", after):
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_a_reader_resumes_after_the_last_event_it_has_seen(meeting: Meeting) -> None:
    await meeting.create()
    asha = await meeting.joined("asha")
    transport = (await asha.api.post(f"{asha.mine}/transports", {"direction": "send"}))["id"]
    for ssrc in range(1, 6):
        body = {"transportId": transport, "kind": "audio", "rtpParameters": opus(ssrc)}
        await asha.api.post(f"{asha.mine}/producers", body)
    everything = await read(asha.api, meeting, 0, 7)
    assert [event.sequence for event in everything] == list(range(1, 8))
    assert [event.type for event in everything] == ["MeetingCreated", "ParticipantJoined"] + ["ProducerCreated"] * 5
    assert await read(asha.api, meeting, 4, 3) == everything[4:]


async def test_a_reader_that_is_ahead_of_the_log_is_told_of_the_gap(meeting: Meeting) -> None:
    await meeting.create()
    asha = await meeting.joined("asha")
    first = (await read(asha.api, meeting, 500, 1))[0]
    assert first.type == "gap"


async def test_the_stream_of_a_seat_that_is_over_ends(meeting: Meeting) -> None:
    await meeting.create()
    asha = await meeting.joined("asha")
    old = asha.api.token
    second = Api(meeting.system.url, old)
    answer = await second.post(f"{meeting.path}/join", {"participantId": "asha", "instanceId": "another"})

    with pytest.raises(ApiError) as refused:
        await read(asha.api, meeting, 2, 100)
    assert (refused.value.status, refused.value.code) == (409, "stale_instance")
    second.token = str(answer["participantToken"])
    assert [event.type for event in await read(second, meeting, 2, 1)] == ["ParticipantReplaced"]
    await second.close()


async def test_somebody_elses_token_reads_nothing(meeting: Meeting) -> None:
    other = Meeting(meeting.system)
    await other.create()
    stranger = await other.joined("stranger")
    await meeting.create()
    with pytest.raises(ApiError) as refused:
        await read(stranger.api, meeting, None, 1)
    assert refused.value.status in {403, 404}
    await other.end()


async def test_fifty_commands_through_two_kendras_lose_nothing(make_system: object) -> None:
    system = await make_system(kendras=2, media_servers=1)  # type: ignore[operator]
    meeting = Meeting(system)
    await meeting.create(participants=2, producers=60)
    asha = await meeting.joined("asha")
    transport = (await asha.api.post(f"{asha.mine}/transports", {"direction": "send"}))["id"]

    async def produce(ssrc: int) -> str:
        body = {"transportId": transport, "kind": "audio", "rtpParameters": opus(ssrc)}
        return str((await asha.api.post(f"{asha.mine}/producers", body))["id"])

    made = await asyncio.gather(*(produce(ssrc) for ssrc in range(1, 51)))
    assert await meeting.rows("producers") == set(made)
    log = await meeting.events()
    assert [sequence for sequence, _ in log] == list(range(1, 53))
    assert {event.sequence for event in await read(asha.api, meeting, 2, 50)} == set(range(3, 53))
    await rows_equal_memory(system)
    await meeting.end()
    await rows_equal_memory(system)
