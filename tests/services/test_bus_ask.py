"""Asking on a real broker: every ask ends by its deadline, with a reply or with an exception that says what is known."""

import asyncio
import time
from dataclasses import replace

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from prometheus_client import REGISTRY

from contracts.actor import Actor, Grant
from contracts.failure import Busy, DeadlineExceeded, Internal, MeetingFull, Unavailable, UnknownCommand
from contracts.ids import ApiKeyId, Epoch, ParticipantId, Seat
from services.bus import Bus, Call, NobodyThere, ask
from services.bus.connection import hanging_up
from services.testing.session import Broker
from tests.services.bus_peers import (
    MEETING,
    TENANT,
    Break,
    Echo,
    EchoBody,
    Echoed,
    Hold,
    Line,
    Nudge,
    Refuse,
    Unheard,
    World,
    asking,
    call,
    serving,
    some_queue,
    stranger,
)

AT_ONCE = 0.05


async def test_a_reply_comes_back_as_the_commands_reply_type(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with serving(rabbitmq.url, queue, World()), asking(rabbitmq.url) as bus:
        assert await bus.ask(queue.name, Echo(text="नमस्ते"), call()) == Echoed(text="नमस्ते")


async def test_an_http_body_is_sent_on_as_its_parent(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with serving(rabbitmq.url, queue, World()), asking(rabbitmq.url) as bus:
        assert await bus.ask(queue.name, EchoBody(text="hello"), call()) == Echoed(text="hello")


async def test_what_a_handler_raises_is_raised_to_the_asker(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with serving(rabbitmq.url, queue, World()), asking(rabbitmq.url) as bus:
        with pytest.raises(MeetingFull, match="20 of 20 seats"):
            await bus.ask(queue.name, Refuse(), call())


async def test_a_bug_in_a_handler_is_internal_and_tells_nothing(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with serving(rabbitmq.url, queue, World()), asking(rabbitmq.url) as bus:
        with pytest.raises(Internal) as caught:
            await bus.ask(queue.name, Break(), call())
        assert "a bug" not in caught.value.reason
        assert await bus.ask(queue.name, Echo(text="goes on"), call())


async def test_an_unknown_command_is_refused_by_name(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with serving(rabbitmq.url, queue, World()), asking(rabbitmq.url) as bus:
        with pytest.raises(UnknownCommand, match="Unheard"):
            await bus.ask(queue.name, Unheard(), call())


async def nobody_is_there_after(bus: Bus, queue: str) -> float:
    """Return how long it takes to learn it, in seconds: the shortest of five asks, for other tests may keep the machine busy."""
    took = []
    for _ in range(5):
        started = time.perf_counter()
        with pytest.raises(NobodyThere):
            await bus.ask(queue, Echo(text="hello?"), call())
        took.append(time.perf_counter() - started)
    return min(took)


async def test_a_queue_that_never_existed_is_known_at_once(rabbitmq: Broker) -> None:
    async with asking(rabbitmq.url) as bus:
        assert await nobody_is_there_after(bus, "media.nobody.never.commands") < AT_ONCE


async def test_two_asks_with_one_command_id_both_learn_that_nobody_is_there(rabbitmq: Broker) -> None:
    once = call()
    async with asking(rabbitmq.url) as bus:
        asks = [bus.ask("media.nobody.never.commands", Echo(text="hello?"), once) for _ in range(2)]
        ends = await asyncio.gather(*asks, return_exceptions=True)
        assert [type(end) for end in ends] == [NobodyThere, NobodyThere]


async def test_a_server_that_stopped_cleanly_is_known_at_once(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with asking(rabbitmq.url) as bus:
        async with serving(rabbitmq.url, queue, World()):
            await bus.ask(queue.name, Echo(text="hello"), call())
        assert await nobody_is_there_after(bus, queue.name) < AT_ONCE


async def test_an_ask_ends_at_its_deadline_with_the_outcome_unknown(rabbitmq: Broker) -> None:
    queue, world = some_queue(), World()
    async with serving(rabbitmq.url, queue, world), asking(rabbitmq.url) as bus:
        started = time.perf_counter()
        with pytest.raises(DeadlineExceeded):
            await bus.ask(queue.name, Hold(), call(0.2))
        assert 0.19 < time.perf_counter() - started < 1.0
        async with asyncio.timeout(5):
            await world.cancelled.wait()


async def test_an_ask_whose_time_is_up_is_not_sent(rabbitmq: Broker) -> None:
    queue, world = some_queue(), World()
    async with serving(rabbitmq.url, queue, world), asking(rabbitmq.url) as bus:
        with pytest.raises(DeadlineExceeded):
            await bus.ask(queue.name, Echo(text="too late"), call(-1))
        await bus.ask(queue.name, Echo(text="in time"), call())
        assert world.texts == ["in time"]


async def test_what_the_broker_never_took_is_unavailable_at_the_deadline(rabbitmq: Broker) -> None:
    queue, line = some_queue(), Line(rabbitmq.url)
    async with serving(rabbitmq.url, queue, World()), line.laid() as url, asking(url) as bus:
        line.stall()
        with pytest.raises(Unavailable):
            await bus.ask(queue.name, Echo(text="hello?"), call(0.2))
        line.cut()


async def test_a_queue_that_is_full_is_busy(rabbitmq: Broker) -> None:
    queue = some_queue(**{"x-max-length": 1, "x-overflow": "reject-publish"})
    async with asking(rabbitmq.url) as bus, stranger(rabbitmq.url) as other:
        await other.channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))
        await other.send(queue.name, b'{"text": "fills the queue"}')
        with pytest.raises(Busy):
            await bus.ask(queue.name, Echo(text="no room"), call())


async def test_200_asks_at_once_get_their_own_replies(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with serving(rabbitmq.url, queue, World()), asking(rabbitmq.url) as bus:
        texts = [f"number {number}" for number in range(200)]
        replies = await asyncio.gather(*(bus.ask(queue.name, Echo(text=text), call()) for text in texts))
        assert [reply.text for reply in replies] == texts


async def test_asks_cut_off_are_sent_once_more_with_the_same_id_and_answered(rabbitmq: Broker) -> None:
    queue, world, line = some_queue(), World(), Line(rabbitmq.url)
    async with serving(rabbitmq.url, queue, world), line.laid() as url, asking(url) as bus:
        asks = [asyncio.create_task(bus.ask(queue.name, Hold(), call(20))) for _ in range(20)]
        await world.begun(20)
        first = world.ids(Hold)
        line.cut()
        await world.begun(20)
        world.gate.set()
        await asyncio.gather(*asks)
        assert sorted(world.ids(Hold)) == sorted(first * 2)


async def test_asks_begun_while_the_line_is_down_are_answered(rabbitmq: Broker) -> None:
    queue, line = some_queue(), Line(rabbitmq.url)
    async with serving(rabbitmq.url, queue, World()), line.laid() as url, asking(url) as bus:
        for number in range(5):
            line.cut()
            assert await bus.ask(queue.name, Echo(text=f"{number}"), call(20)) == Echoed(text=f"{number}")


async def test_a_notice_is_handled_and_nobody_answers(rabbitmq: Broker) -> None:
    queue, world = some_queue(), World()
    async with serving(rabbitmq.url, queue, world), asking(rabbitmq.url) as bus:
        for number in range(3):
            await bus.tell(queue.name, Nudge(number=number), call(), expires=5.0)
        async with asyncio.timeout(5):
            assert [await world.nudges.get() for _ in range(3)] == [0, 1, 2]


async def test_a_notice_to_nobody_does_no_harm(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with serving(rabbitmq.url, queue, World()), asking(rabbitmq.url) as bus:
        await bus.tell("media.nobody.never.commands", Nudge(number=1), call(), expires=1.0)
        assert await bus.ask(queue.name, Echo(text="still here"), call())


async def test_a_stopped_asker_fails_what_it_waits_for(rabbitmq: Broker) -> None:
    queue, world = some_queue(), World()
    async with serving(rabbitmq.url, queue, world):
        async with asking(rabbitmq.url) as bus:
            ask = asyncio.create_task(bus.ask(queue.name, Hold(), call()))
            await world.begun(1)
        with pytest.raises(Unavailable):
            await ask


async def test_asks_and_commands_are_counted_by_name_and_outcome(rabbitmq: Broker) -> None:
    queue = some_queue()

    def counted(what: str, code: str) -> float:
        return REGISTRY.get_sample_value(f"doordarshan_{what}_total", {"command": "Refuse", "code": code}) or 0.0

    before = counted("asks", "meeting_full"), counted("handled", "meeting_full")
    async with serving(rabbitmq.url, queue, World()), asking(rabbitmq.url) as bus:
        with pytest.raises(MeetingFull):
            await bus.ask(queue.name, Refuse(), call())
    assert (counted("asks", "meeting_full"), counted("handled", "meeting_full")) == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize(("type_", "body"), [("Echoed", b"{"), ("Done", b"{}"), ("Failure", b"[]"), (None, b"")])
async def test_a_reply_that_does_not_parse_is_internal(rabbitmq: Broker, type_: str | None, body: bytes) -> None:
    queue = some_queue()
    async with asking(rabbitmq.url) as bus, stranger(rabbitmq.url) as server:
        served = await server.channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))

        async def answer(message: AbstractIncomingMessage) -> None:
            reply = aio_pika.Message(body, type=type_, correlation_id=message.correlation_id)
            await server.channel.default_exchange.publish(reply, message.reply_to or "")

        await served.consume(answer, no_ack=True)
        with pytest.raises(Internal):
            await bus.ask(queue.name, Echo(text="hello"), call())


async def test_a_handlers_call_has_what_came_beside_the_body(rabbitmq: Broker) -> None:
    queue, world = some_queue(), World()
    actor = Actor(key=ApiKeyId("k1"), grants=(Grant.JOIN,), participant=ParticipantId("asha"), seat=Seat(7))
    asked = Call.begin(TENANT, MEETING, 5.0, actor=actor, epoch=Epoch(3))
    async with serving(rabbitmq.url, queue, world), asking(rabbitmq.url) as bus:
        await bus.ask(queue.name, Echo(text="hello"), replace(asked, body_hash="ab" * 32))
        ((_, seen),) = world.calls
        assert replace(seen, deadline=0.0) == replace(asked, body_hash="ab" * 32, deadline=0.0)
        assert abs(seen.deadline - asked.deadline) < 0.5


async def test_it_is_not_connected_before_it_can_be_asked(rabbitmq: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    bus, seen = Bus(rabbitmq.url, "gateway", "early"), []
    opened = ask.open_channel

    async def look(*arguments: object, **named: object) -> object:
        seen.append(bus.connected)
        return await opened(*arguments, **named)

    monkeypatch.setattr(ask, "open_channel", look)
    await bus.start()
    assert (seen, bus.connected) == ([False, False], True)
    await bus.stop()
    assert not bus.connected


@pytest.mark.parametrize("let_out", [StopAsyncIteration, asyncio.CancelledError])
def test_a_broker_that_hangs_up_in_the_midst_of_a_start_is_one_that_cannot_be_reached(
    let_out: type[BaseException],
) -> None:
    async def start() -> None:
        with hanging_up():
            raise let_out

    with pytest.raises(ConnectionError, match="hung up"):
        asyncio.run(start())


async def test_who_is_told_to_stop_while_it_starts_is_not_taken_for_a_broker_that_hung_up() -> None:
    async def start() -> None:
        with hanging_up():
            await asyncio.Event().wait()

    starting = asyncio.create_task(start())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
