"""Gateways share nothing but secrets and services: a client may change from one to another between any two requests."""

import asyncio

from services.cli.participant.api import Api, JsonObject
from tests.conftest import MakeSystem
from tests.flows.people import Meeting, opus
from tests.truth import rows_equal_memory


async def test_tokens_repeats_and_events_hold_at_every_gateway(make_system: MakeSystem) -> None:
    system = await make_system(gateways=2, kendras=2, media_servers=1)
    meeting = Meeting(system)
    await meeting.create()
    asha, ravi = await meeting.joined("asha"), await meeting.joined("ravi")
    elsewhere = Api(system.urls[1], asha.api.token)

    made = [await api.post(f"{asha.mine}/transports", {"direction": "send"}, key="t") for api in (asha.api, elsewhere)]
    assert made[0] == made[1]
    order: JsonObject = {"transportId": made[0]["id"], "kind": "audio", "rtpParameters": opus(1)}
    producers = [await api.post(f"{asha.mine}/producers", order, key="p") for api in (elsewhere, asha.api)]
    assert producers[0] == producers[1]
    assert await meeting.rows("producers") == {producers[0]["id"]}

    await ravi.until(lambda: any(event.type == "ProducerCreated" for event in ravi.events), 5)
    sequences = []
    async with asyncio.timeout(5):
        async for event in elsewhere.events(f"{meeting.path}/events", 0):
            sequences.append(event.sequence)
            if event.type == "ProducerCreated":
                break
    assert sequences == [1, 2, 3, 4]
    await elsewhere.close()
    await meeting.end()
    await rows_equal_memory(system)
