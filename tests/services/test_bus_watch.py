"""Watch records on a real broker: whoever binds to `watch` sees what was handled, in order, without secrets; nobody has to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import aio_pika
import pytest

from contracts.failure import MeetingFull
from contracts.handled import Handled
from services.testing.session import Broker
from tests.services.bus_peers import (
    Break,
    Echo,
    GetCredentials,
    Hold,
    Nudge,
    Refuse,
    World,
    asking,
    call,
    serving,
    some_queue,
)

KEY = "try.*.acme.standup"


class Recorder:
    """A queue bound to `watch`."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[aio_pika.abc.AbstractIncomingMessage] = asyncio.Queue()

    async def next(self) -> Handled:
        """Return the next record."""
        async with asyncio.timeout(5):
            return Handled.model_validate_json((await self.messages.get()).body)


@asynccontextmanager
async def recording(url: str, key: str = KEY) -> AsyncIterator[Recorder]:
    """Record as a tool would, from before the first command on."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(f"watch.tool.{uuid4().hex}", durable=True, arguments={"x-expires": 60_000})
        await queue.bind("watch", key)
        recorder = Recorder()
        await queue.consume(recorder.messages.put, no_ack=True)
        yield recorder


async def test_a_recorder_sees_envelope_command_and_reply(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with (
        serving(rabbitmq.url, queue, World()),
        recording(rabbitmq.of["tool"]) as recorder,
        asking(rabbitmq.url) as bus,
    ):
        asked = call()
        await bus.ask(queue.name, Echo(text="hello"), asked)
        seen = await recorder.next()
        assert (seen.service, seen.process, seen.queue) == ("try", "p1", queue.name)
        assert seen.envelope.command_id == asked.command_id
        assert (seen.envelope.type, seen.envelope.tenant, seen.envelope.meeting) == ("Echo", "acme", "standup")
        assert seen.envelope.traceparent == asked.traceparent
        assert (seen.command, seen.reply_type, seen.reply) == ({"text": "hello"}, "Echoed", {"text": "hello"})


async def test_records_are_numbered_without_a_hole_failures_and_notices_included(rabbitmq: Broker) -> None:
    queue, world = some_queue(), World()
    async with serving(rabbitmq.url, queue, world), recording(rabbitmq.url) as recorder, asking(rabbitmq.url) as bus:
        for order in (Echo(text="1"), Refuse(), Break()):
            await asyncio.gather(bus.ask(queue.name, order, call()), return_exceptions=True)
        await bus.tell(queue.name, Nudge(number=4), call(), expires=5.0)
        await world.nudges.get()
        await asyncio.gather(bus.ask(queue.name, Hold(), call(0.1)), return_exceptions=True)
        records = [await recorder.next() for _ in range(5)]
        assert [record.number for record in records] == [1, 2, 3, 4, 5]
        assert [record.reply_type for record in records] == ["Echoed", "Failure", "Failure", None, "Failure"]
        codes = [record.reply["code"] for record in records[1:] if isinstance(record.reply, dict)]
        assert codes == ["meeting_full", "internal", "deadline_exceeded"]
        assert records[3].command == {"number": 4}


async def test_passwords_and_tokens_are_blanked_in_the_record_but_not_in_the_reply(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with serving(rabbitmq.url, queue, World()), recording(rabbitmq.url) as recorder, asking(rabbitmq.url) as bus:
        reply = await bus.ask(queue.name, GetCredentials(), call())
        assert (reply.ice_parameters.password, reply.participant_token) == ('sec"ret', "eyJhbGciOi")
        seen = await recorder.next()
        assert seen.reply == {
            "iceParameters": {"usernameFragment": "abcd", "password": "***"},
            "participantToken": "***",
        }


async def test_with_nobody_bound_commands_are_handled_all_the_same(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with serving(rabbitmq.url, queue, World()), asking(rabbitmq.url) as bus:
        await bus.ask(queue.name, Echo(text="unseen"), call())
        async with recording(rabbitmq.url) as recorder:
            await bus.ask(queue.name, Echo(text="seen"), call())
            seen = await recorder.next()
            assert (seen.number, seen.command) == (2, {"text": "seen"})


async def test_a_recorder_can_bind_to_one_command_of_one_meeting(rabbitmq: Broker) -> None:
    queue, key = some_queue(), "try.Refuse.acme.standup"
    async with (
        serving(rabbitmq.url, queue, World()),
        recording(rabbitmq.url, key) as recorder,
        asking(rabbitmq.url) as bus,
    ):
        await bus.ask(queue.name, Echo(text="another"), call())
        with pytest.raises(MeetingFull):
            await bus.ask(queue.name, Refuse(), call())
        assert (await recorder.next()).envelope.type == "Refuse"
