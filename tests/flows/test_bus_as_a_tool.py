"""The bus is an interface for tools: nothing here is imported from the project. Plain aio-pika as broker user `tool`, and redis-cli."""

import asyncio
import json
import subprocess
from typing import Any
from uuid import uuid4

import aio_pika

ACTOR = {"grants": ["create", "join", "produce", "consume", "admin"]}
OPUS = {
    "codecs": [{"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}],
    "encodings": [{"ssrc": 4711}],
}


class Tool:
    """Asks and reads the replies from its own queue."""

    def __init__(self, channel: Any, replies: Any, meeting: str) -> None:
        self.channel, self.replies, self.meeting = channel, replies, meeting

    async def ask(self, queue: str, command: str, body: object, **headers: object) -> dict[str, Any]:
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def take(message: Any) -> None:
            answered.set_result(message)

        tag = await self.replies.consume(take, no_ack=True)
        identity = str(uuid4())
        message = aio_pika.Message(
            json.dumps(body).encode(),
            type=command,
            message_id=identity,
            correlation_id=identity,
            reply_to=self.replies.name,
            expiration=4,
            headers={"remainingMs": 4000, "tenant": "demo", "meeting": self.meeting, "actor": json.dumps(ACTOR)}
            | headers,
        )
        await self.channel.default_exchange.publish(message, queue)
        reply = await asyncio.wait_for(answered, 5)
        await self.replies.cancel(tag)
        assert reply.correlation_id == identity
        return {**json.loads(reply.body), "type": reply.type}


async def tool_of(connection: Any, meeting: str) -> Tool:
    channel = await connection.channel()
    replies = await channel.declare_queue(f"reply.tool.{uuid4().hex}", durable=True, arguments={"x-expires": 60_000})
    return Tool(channel, replies, meeting)


async def test_the_five_flows_can_be_ordered_from_kendra_by_hand(system: Any) -> None:
    meeting = f"tool-{uuid4().hex[:8]}"
    async with await aio_pika.connect(system.tool_amqp_url) as connection:
        tool = await tool_of(connection, meeting)
        created = await tool.ask("kendra.commands", "CreateMeeting", {"meetingId": meeting})
        assert created["type"] == "MeetingCreated"
        joined = await tool.ask("kendra.commands", "JoinMeeting", {"participantId": "robot", "instanceId": "r1"})
        assert joined["type"] == "MeetingJoined"
        seat = {"actor": json.dumps({**ACTOR, "participant": "robot", "instance": "r1", "seat": joined["seat"]})}
        sending = await tool.ask("kendra.commands", "RecreateTransport", {"direction": "send"}, **seat)
        assert sending["type"] == "TransportRecreated"
        await tool.ask("kendra.commands", "RecreateTransport", {"direction": "recv"}, **seat)
        order = {"transportId": sending["id"], "kind": "audio", "rtpParameters": OPUS}
        producer = await tool.ask("kendra.commands", "CreateProducer", order, **seat)
        assert producer["type"] == "ProducerCreated"
        order = {"producerId": producer["id"], "rtpCapabilities": joined["rtpCapabilities"]}
        consumer = await tool.ask("kendra.commands", "CreateConsumer", order, **seat)
        assert (consumer["type"], consumer["producerId"]) == ("ConsumerCreated", producer["id"])
        assert (await tool.ask("kendra.commands", "EndMeeting", {}))["type"] == "Done"


async def test_a_media_server_answers_a_tool_on_its_own_queue(system: Any) -> None:
    meeting = f"tool-{uuid4().hex[:8]}"
    async with await aio_pika.connect(system.tool_amqp_url) as connection:
        tool = await tool_of(connection, meeting)
        created = await tool.ask("kendra.commands", "CreateMeeting", {"meetingId": meeting})
        server, epoch = created["mediaServerId"], created["epoch"]
        boot = await system.postgres.fetchval("select boot from meetings where meeting = $1", meeting)
        queue = f"media.{server}.{boot}.commands"
        seat = {"epoch": epoch, "actor": json.dumps({"participant": "robot", "instance": "r1", "seat": 2})}
        again = await tool.ask(
            queue, "AllocateRouter", {"capacity": {"participants": 16, "producers": 32}}, epoch=epoch
        )
        assert (again["type"], again["routerId"]) == ("RouterAllocated", created["routerId"])
        capable = await tool.ask(queue, "GetRouterCapabilities", {}, epoch=epoch)
        assert capable["type"] == "RouterCapabilities"
        transports = {}
        for direction in ("send", "recv"):
            made = await tool.ask(queue, "ReplaceTransports", {"direction": direction, "old": []}, **seat)
            assert made["type"] == "TransportRecreated"
            transports[direction] = made["id"]
        order = {"transportId": transports["send"], "kind": "audio", "rtpParameters": OPUS}
        producer = await tool.ask(queue, "CreateProducer", order, **seat)
        assert producer["type"] == "ProducerCreated"
        order = {"producerId": producer["id"], "rtpCapabilities": capable["rtpCapabilities"]}
        consumer = await tool.ask(queue, "CreateConsumer", order, **seat)
        assert consumer["type"] == "ConsumerCreated"
        stale = await tool.ask(queue, "GetRouterCapabilities", {}, epoch=epoch + 1)
        assert (stale["type"], stale["code"]) == ("Failure", "stale_epoch")
        assert (await tool.ask("kendra.commands", "EndMeeting", {}))["type"] == "Done"


async def test_producer_created_can_be_read_with_redis_cli(system: Any) -> None:
    meeting = f"tool-{uuid4().hex[:8]}"
    async with await aio_pika.connect(system.tool_amqp_url) as connection:
        tool = await tool_of(connection, meeting)
        await tool.ask("kendra.commands", "CreateMeeting", {"meetingId": meeting})
        joined = await tool.ask("kendra.commands", "JoinMeeting", {"participantId": "robot", "instanceId": "r1"})
        seat = {"actor": json.dumps({**ACTOR, "participant": "robot", "instance": "r1", "seat": joined["seat"]})}
        sending = await tool.ask("kendra.commands", "RecreateTransport", {"direction": "send"}, **seat)
        order = {"transportId": sending["id"], "kind": "audio", "rtpParameters": OPUS, "appData": {"source": "mic"}}
        producer = await tool.ask("kendra.commands", "CreateProducer", order, **seat)
        incarnation = await system.postgres.fetchval("select incarnation from meetings where meeting = $1", meeting)
        key = f"{system.redis_prefix}events:{{demo:{meeting}:{incarnation}}}"
        lines = await redis_cli(system.cache.url, "XREVRANGE", key, "+", "-", "COUNT", "1")
        fields = dict(zip(lines[1::2], lines[2::2], strict=True))
        assert fields["type"] == "ProducerCreated"
        assert json.loads(fields["body"]) == {
            "producerId": producer["id"],
            "participantId": "robot",
            "kind": "audio",
            "paused": False,
            "appData": {"source": "mic"},
        }
        await tool.ask("kendra.commands", "EndMeeting", {})


async def redis_cli(url: str, *command: str) -> list[str]:
    done = await asyncio.to_thread(
        subprocess.run,
        ["redis-cli", "--no-auth-warning", "-u", url, *command],
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    return done.stdout.splitlines()
