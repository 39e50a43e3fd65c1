"""The calls that are recorded, flow by flow: what goes well, what is refused, what is repeated. One after the other, so that their order is one.

Most leave their meeting running, so that its recording ends with somebody in it.
"""

from collections.abc import Awaitable, Callable, Mapping

from services.cli.participant.api import Api, ApiError, JsonObject
from tests.flows.people import OPUS, Meeting, opus

VP8: JsonObject = {
    "codecs": [
        {"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000},
        {"mimeType": "video/rtx", "payloadType": 97, "clockRate": 90000, "parameters": {"apt": 96}},
    ],
    "encodings": [{"ssrc": 2222, "rtx": {"ssrc": 2223}}],
    "rtcp": {"cname": "recorded"},
}
TOO_LARGE = "recorded-too-large"


async def refused(code: str, asked: Awaitable[object]) -> None:
    """Have something refused, with this code."""
    try:
        await asked
    except ApiError as error:
        if error.code != code:
            raise
    else:
        raise AssertionError(f"this was not refused with {code}")


async def create_meeting(meeting: Meeting) -> None:
    await meeting.create(participants=4, producers=8)
    await meeting.create(participants=4, producers=8)
    await refused("meeting_exists", meeting.create(participants=5))
    body: JsonObject = {"meetingId": meeting.id, "capacity": {"participants": 4, "producers": 8}}
    for _ in range(2):
        await meeting.admin.post("/v1/meetings", body, key="the same")
    await refused(
        "idempotency_key_reused", meeting.admin.post("/v1/meetings", {"meetingId": meeting.id}, key="the same")
    )
    await meeting.admin.get(meeting.path)
    await meeting.admin.get(f"{meeting.path}/placement")
    impatient = Api(meeting.system.url, meeting.system.token(), budget=0.0)
    too_large: JsonObject = {"meetingId": TOO_LARGE, "capacity": {"participants": 10_000, "producers": 10_000}}
    await refused("no_capacity", impatient.post("/v1/meetings", too_large))
    await impatient.close()


async def join_meeting(meeting: Meeting) -> None:
    await refused("meeting_not_found", meeting.joined("early"))
    await meeting.create(participants=2)
    asha, ravi = await meeting.joined("asha"), await meeting.joined("ravi")
    await asha.take_seat()
    await refused("meeting_full", meeting.joined("third"))
    await asha.api.post(f"{asha.mine}/transports", {"direction": "send"})
    before = asha.api.token
    asha.instance = "another-page"
    await asha.take_seat()
    asha.api.token, current = before, asha.api.token
    await refused("stale_instance", asha.api.post(f"{asha.mine}/transports", {"direction": "send"}))
    asha.api.token = current
    await asha.api.post(f"{asha.mine}/transports", {"direction": "send"})
    await ravi.api.get(meeting.path)


async def recreate_transport(meeting: Meeting) -> None:
    await meeting.create()
    asha, ravi = await meeting.joined("asha"), await meeting.joined("ravi")
    receiving = await transport_of(ravi.api, ravi.mine, "recv")
    first = await transport_of(asha.api, asha.mine, "send")
    producer = await produced(asha.api, asha.mine, first["id"], opus(1111))
    capabilities = asha.joined["rtpCapabilities"]
    await ravi.api.post(f"{ravi.mine}/consumers", {"producerId": producer, "rtpCapabilities": capabilities})
    again = await transport_of(asha.api, asha.mine, "send")
    assert again["closedProducerIds"] == [producer]
    path = f"{asha.mine}/transports/{again['id']}"
    await asha.api.post(f"{path}/connect", {"dtlsParameters": again["dtlsParameters"]})
    await refused(
        "invalid_state",
        asha.api.post(f"{path}/connect", {"dtlsParameters": receiving["dtlsParameters"] | {"role": "client"}}),
    )
    await asha.api.post(f"{path}/restart-ice")
    await asha.api.stats(path)
    await refused("transport_not_found", asha.api.delete(f"{asha.mine}/transports/{first['id']}"))
    await asha.api.delete(path)
    await ravi.api.get(meeting.path)


async def create_producer(meeting: Meeting) -> None:
    await meeting.create(producers=3)
    asha, ravi = await meeting.connected("asha"), await meeting.joined("ravi")
    await asha.produce()
    assert asha.send_transport is not None
    transport = asha.send_transport.id
    await refused(
        "invalid_rtp_parameters", produced(asha.api, asha.mine, transport, {**opus(3), "encodings": [{}, {}]})
    )
    h265: JsonObject = {**VP8, "codecs": [{"mimeType": "video/H265", "payloadType": 96, "clockRate": 90000}]}
    await refused("unsupported_codec", produced(asha.api, asha.mine, transport, h265, kind="video"))
    body: JsonObject = {
        "transportId": transport,
        "kind": "audio",
        "rtpParameters": {**opus(3), "mid": "third"},
        "paused": True,
    }
    body["appData"] = {"source": "screen", "follows": next(iter(asha.sending))}
    first = await asha.api.post(f"{asha.mine}/producers", body, key="once")
    assert await asha.api.post(f"{asha.mine}/producers", body, key="once") == first
    await refused("producer_limit", produced(asha.api, asha.mine, transport, {**opus(4), "mid": "fourth"}))
    await refused("transport_not_found", produced(ravi.api, ravi.mine, transport, opus(5)))
    await ravi.api.get(f"{meeting.path}/producers")
    await asha.api.stats(f"{asha.mine}/producers/{first['id']}")
    await asha.api.get(meeting.path)


async def create_consumer(meeting: Meeting) -> None:
    await meeting.create()
    asha, ravi, late = await meeting.connected("asha"), await meeting.connected("ravi"), await meeting.joined("late")
    await asha.produce()
    for producer in asha.sending:
        await ravi.consume(producer)
    capabilities = ravi.joined["rtpCapabilities"]
    wanted: JsonObject = {"producerId": next(iter(asha.sending)), "rtpCapabilities": capabilities}
    await refused("transport_not_found", late.api.post(f"{late.mine}/consumers", wanted))
    nobody: JsonObject = {**wanted, "producerId": "nobody"}
    await refused("producer_not_found", ravi.api.post(f"{ravi.mine}/consumers", nobody))
    deaf: JsonObject = {**wanted, "rtpCapabilities": {"codecs": [], "headerExtensions": []}}
    await refused("unsupported_codec", ravi.api.post(f"{ravi.mine}/consumers", deaf))
    for received in ravi.received.values():
        path = f"{ravi.mine}/consumers/{received.consumer_id}"
        await ravi.api.stats(path)
        await ravi.api.post(f"{path}/keyframe")
        await refused("invalid_state", ravi.api.post(f"{path}/layers", {"spatialLayer": 0}))
    await ravi.api.get(meeting.path)


async def close_pause_resume(meeting: Meeting) -> None:
    await meeting.create()
    asha, ravi = await meeting.joined("asha"), await meeting.joined("ravi")
    sending = (await transport_of(asha.api, asha.mine, "send"))["id"]
    await transport_of(ravi.api, ravi.mine, "recv")
    capabilities = asha.joined["rtpCapabilities"]
    made: dict[str, str] = {}
    for number, parameters in enumerate((opus(1), VP8)):
        kind = "video" if parameters is VP8 else "audio"
        producer = await produced(asha.api, asha.mine, sending, {**parameters, "mid": str(number)}, kind=kind)
        order: JsonObject = {"producerId": producer, "rtpCapabilities": capabilities}
        made[producer] = str((await ravi.api.post(f"{ravi.mine}/consumers", order))["id"])
    for producer, consumer in made.items():
        for verb in ("pause", "pause", "resume"):
            await asha.api.post(f"{asha.mine}/producers/{producer}/{verb}")
        for verb in ("resume", "pause"):
            await ravi.api.post(f"{ravi.mine}/consumers/{consumer}/{verb}")
    (audio, heard), (video, seen) = made.items()
    await asha.api.post(f"{asha.mine}/producers/{video}/pause")
    await ravi.api.delete(f"{ravi.mine}/consumers/{heard}")
    await refused("consumer_not_found", ravi.api.delete(f"{ravi.mine}/consumers/{heard}"))
    await asha.api.delete(f"{asha.mine}/producers/{audio}")
    await refused("producer_not_found", asha.api.post(f"{asha.mine}/producers/{audio}/pause"))
    await refused("consumer_not_found", asha.api.post(f"{asha.mine}/consumers/{seen}/pause"))
    await ravi.api.get(meeting.path)


async def leave_kick_end(meeting: Meeting) -> None:
    await meeting.create()
    asha, ravi, kiran = await meeting.joined("asha"), await meeting.joined("ravi"), await meeting.joined("kiran")
    for one in (asha, ravi, kiran):
        transport = (await transport_of(one.api, one.mine, "send"))["id"]
        await produced(one.api, one.mine, transport, OPUS)
    await asha.api.post(f"{meeting.path}/leave")
    await refused("stale_instance", asha.api.post(f"{asha.mine}/transports", {"direction": "send"}))
    await meeting.admin.delete(f"{meeting.path}/participants/ravi")
    await refused("participant_not_found", meeting.admin.delete(f"{meeting.path}/participants/ravi"))
    await kiran.api.get(meeting.path)
    await meeting.participant("asha").take_seat()  # without following events: that would race with the end
    await meeting.admin.delete(meeting.path)
    await refused("meeting_not_found", kiran.api.get(meeting.path))
    await refused("meeting_not_found", meeting.admin.delete(meeting.path))
    await meeting.create(participants=3)
    await meeting.participant("kiran").take_seat()
    await meeting.admin.delete(meeting.path)


async def transport_of(api: Api, mine: str, direction: str) -> JsonObject:
    """Recreate the transport of a direction, and return it."""
    return await api.post(f"{mine}/transports", {"direction": direction})


async def produced(api: Api, mine: str, transport: object, parameters: JsonObject, *, kind: str = "audio") -> str:
    """Send a track whose media nobody looks at; return the producer's id."""
    body: JsonObject = {"transportId": str(transport), "kind": kind, "rtpParameters": parameters}
    return str((await api.post(f"{mine}/producers", body))["id"])


FLOWS: Mapping[str, Callable[[Meeting], Awaitable[None]]] = {
    flow.__name__: flow
    for flow in (
        create_meeting,
        join_meeting,
        recreate_transport,
        create_producer,
        create_consumer,
        close_pause_resume,
        leave_kick_end,
    )
}
