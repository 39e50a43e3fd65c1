"""Every command can be watched: plain aio-pika as broker user `tool`, nothing imported from the project."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import aio_pika


async def test_a_recorder_of_one_meeting_sees_what_both_services_were_told_and_answered(meeting: Any) -> None:
    records: asyncio.Queue[Any] = asyncio.Queue()
    async with await aio_pika.connect(meeting.system.tool_amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(f"watch.tool.{uuid4().hex}", durable=True, arguments={"x-expires": 60_000})
        await queue.bind("watch", f"*.*.demo.{meeting.id}")
        await queue.consume(records.put, no_ack=True)
        created = await meeting.create()
        asha = await meeting.joined("asha")
        await asha.api.post(f"{asha.mine}/transports", {"direction": "send"})
        await meeting.admin.delete(meeting.path)

        seen: dict[str, Any] = {}
        async with asyncio.timeout(5):
            while not {"kendra.EndMeeting", "media.CloseRouter"} <= seen.keys():
                message = await records.get()
                seen[message.routing_key.removesuffix(f".demo.{meeting.id}")] = json.loads(message.body)
    assert seen.keys() >= {
        "kendra.CreateMeeting",
        "media.AllocateRouter",
        "kendra.JoinMeeting",
        "media.GetRouterCapabilities",
        "kendra.RecreateTransport",
        "media.ReplaceTransports",
    }
    assert seen["kendra.CreateMeeting"]["reply"]["routerId"] == created["routerId"]
    asked, nested = seen["kendra.RecreateTransport"], seen["media.ReplaceTransports"]
    assert nested["envelope"]["traceparent"].split("-")[1] == asked["envelope"]["traceparent"].split("-")[1]
    assert nested["envelope"]["actor"]["participant"] == "asha"
    for record in (asked, nested):
        assert record["replyType"] == "TransportRecreated"
        assert record["reply"]["iceParameters"]["password"] == "***"
        assert record["number"] > 0
        assert record["seconds"] > 0
