"""Create producer: it is written, everybody hears of it, its packets are taken in."""

import asyncio
from functools import partial

import pytest

from services.cli.participant.api import ApiError
from services.cli.participant.participant import Participant
from tests.eventually import eventually
from tests.flows.people import OPUS, Meeting, opus

VP8 = {
    "codecs": [{"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000}],
    "encodings": [{"ssrc": 2222}],
    "rtcp": {"cname": "test"},
}


async def test_the_others_hear_of_a_producer_over_redis_and_its_packets_arrive(meeting: Meeting) -> None:
    await meeting.create()
    asha, ravi = await meeting.connected("asha"), await meeting.joined("ravi")
    await asha.produce()

    def told() -> bool:
        return {e.body.get("producerId") for e in ravi.events if e.type == "ProducerCreated"} == set(asha.sending)

    await ravi.until(told, 5)
    assert await meeting.rows("producers") == set(asha.sending)
    keys = [key async for key in meeting.system.redis.scan_iter(f"*events:{{demo:{meeting.id}:*")]
    entries = await meeting.system.redis.xrange(keys[0])
    assert [fields["type"] for _, fields in entries][-2:] == ["ProducerCreated"] * 2
    for producer in asha.sending:
        await eventually(partial(packets, asha, producer), within=10)


async def packets(of: Participant, producer: str) -> int:
    return sum(one["packetCount"] for one in await of.api.stats(f"{of.mine}/producers/{producer}"))


async def test_a_repeat_with_the_same_key_makes_one_producer(meeting: Meeting) -> None:
    await meeting.create()
    asha = await meeting.joined("asha")
    transport = (await asha.api.post(f"{asha.mine}/transports", {"direction": "send"}))["id"]
    body = {"transportId": transport, "kind": "audio", "rtpParameters": OPUS}
    first, second = await asyncio.gather(*(asha.api.post(f"{asha.mine}/producers", body, key="one") for _ in range(2)))
    third = await asha.api.post(f"{asha.mine}/producers", body, key="one")
    assert first == second == third
    assert await meeting.rows("producers") == {first["id"]}
    assert [kind for _, kind in await meeting.events()].count("ProducerCreated") == 1


async def test_the_same_key_with_another_body_is_refused(meeting: Meeting) -> None:
    await meeting.create()
    asha = await meeting.joined("asha")
    transport = (await asha.api.post(f"{asha.mine}/transports", {"direction": "send"}))["id"]
    body = {"transportId": transport, "kind": "audio", "rtpParameters": OPUS}
    await asha.api.post(f"{asha.mine}/producers", body, key="one")
    with pytest.raises(ApiError) as refused:
        await asha.api.post(f"{asha.mine}/producers", {**body, "paused": True}, key="one")
    assert (refused.value.status, refused.value.code) == (422, "idempotency_key_reused")


async def test_a_producer_on_another_participants_transport_is_not_found(meeting: Meeting) -> None:
    await meeting.create()
    asha, ravi = await meeting.joined("asha"), await meeting.joined("ravi")
    transport = (await asha.api.post(f"{asha.mine}/transports", {"direction": "send"}))["id"]
    with pytest.raises(ApiError) as refused:
        await ravi.api.post(
            f"{ravi.mine}/producers", {"transportId": transport, "kind": "audio", "rtpParameters": OPUS}
        )
    assert (refused.value.status, refused.value.code) == (404, "transport_not_found")


async def test_the_meeting_takes_no_more_producers_than_it_booked(meeting: Meeting) -> None:
    await meeting.create(participants=2, producers=2)
    asha = await meeting.joined("asha")
    transport = (await asha.api.post(f"{asha.mine}/transports", {"direction": "send"}))["id"]

    async def produce(ssrc: int) -> object:
        body = {"transportId": transport, "kind": "audio", "rtpParameters": opus(ssrc)}
        return await asha.api.post(f"{asha.mine}/producers", body)

    outcomes = await asyncio.gather(*(produce(ssrc) for ssrc in range(1, 6)), return_exceptions=True)
    assert sorted(one.code for one in outcomes if isinstance(one, ApiError)) == ["producer_limit"] * 3
    assert len(await meeting.rows("producers")) == 2


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"codecs": []}, "invalid_rtp_parameters"),
        ({**VP8, "encodings": [{"ssrc": 1}, {"ssrc": 2}]}, "unsupported_codec"),
        ({**VP8, "encodings": [{"ssrc": 1, "scalabilityMode": "L1T3"}]}, "unsupported_codec"),
        ({**VP8, "codecs": [{"mimeType": "video/H265", "payloadType": 98, "clockRate": 90000}]}, "unsupported_codec"),
    ],
    ids=["no codec", "simulcast", "layers", "unknown codec"],
)
async def test_parameters_that_cannot_be_forwarded_are_refused_and_leave_nothing(
    meeting: Meeting, parameters: dict[str, object], code: str
) -> None:
    await meeting.create()
    asha = await meeting.joined("asha")
    transport = (await asha.api.post(f"{asha.mine}/transports", {"direction": "send"}))["id"]
    with pytest.raises(ApiError) as refused:
        await asha.api.post(
            f"{asha.mine}/producers", {"transportId": transport, "kind": "video", "rtpParameters": parameters}
        )
    assert (refused.value.status, refused.value.code) == (422, code)
    assert await meeting.rows("producers") == set()
