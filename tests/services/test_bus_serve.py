"""Serving on a real broker: what arrives late, misshapen or from a stranger, and what happens to commands when the server goes."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from aiormq.exceptions import ChannelPreconditionFailed

from contracts.failure import DeadlineExceeded, Failure, MediaServerUnavailable
from services.bus import Bus, Serving
from services.bus.queues import QueueSpec, kendra_commands, media_commands
from services.testing.session import Broker
from tests.eventually import eventually
from tests.services.bus_peers import (
    HANDLERS,
    Echo,
    Echoed,
    Hold,
    Line,
    Nudge,
    Stranger,
    World,
    asking,
    call,
    serving,
    some_queue,
    stranger,
)

HELLO = b'{"text": "hello"}'


def failure(message: AbstractIncomingMessage) -> Failure:
    assert message.type == "Failure"
    return Failure.model_validate_json(message.body)


async def test_a_stranger_needs_no_code_of_ours(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with serving(rabbitmq.url, queue, World()), stranger(rabbitmq.url) as tool:
        await tool.send(queue.name, HELLO, correlation_id="mine")
        reply = await tool.reply()
        assert (reply.type, reply.correlation_id, json.loads(reply.body)) == ("Echoed", "mine", {"text": "hello"})


async def test_a_command_that_expired_in_the_queue_is_dropped_before_any_work(rabbitmq: Broker) -> None:
    queue, world = some_queue(), World()
    async with stranger(rabbitmq.url) as tool:
        waiting = await tool.channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))
        await tool.send(queue.name, b'{"text": "late"}', expiration=0.001)

        async def gone() -> bool:
            return not (await tool.channel.declare_queue(queue.name, passive=True)).declaration_result.message_count

        await eventually(gone)
        async with serving(rabbitmq.url, queue, world):
            await tool.send(waiting.name, HELLO)
            await tool.reply()
        assert world.texts == ["hello"]


async def test_a_command_whose_time_is_up_on_arrival_is_dropped_before_any_work(rabbitmq: Broker) -> None:
    queue, world = some_queue(), World()
    async with serving(rabbitmq.url, queue, world), stranger(rabbitmq.url) as tool:
        await tool.send(queue.name, b'{"text": "late"}', headers={"remainingMs": 0})
        await tool.send(queue.name, HELLO, correlation_id="second")
        assert (await tool.reply()).correlation_id == "second"
        assert world.texts == ["hello"]


@pytest.mark.parametrize(
    ("what", "body", "properties", "code"),
    [
        ("not JSON", b"{", {}, "invalid_request"),
        ("nothing", b"", {}, "invalid_request"),
        ("not UTF-8", b'{"text": "\xff"}', {}, "invalid_request"),
        ("another shape", b'{"text": 1}', {}, "invalid_request"),
        ("nested too deep", b"[" * 100_000, {}, "invalid_request"),
        ("unknown command", HELLO, {"type": "Explode"}, "unknown_command"),
        ("no command", HELLO, {"type": None}, "invalid_request"),
        ("another major version", HELLO, {"headers": {"contractVersion": 2}}, "unknown_command"),
        ("no tenant", HELLO, {"headers": {"tenant": None}}, "invalid_request"),
        ("a tenant with a dot", HELLO, {"headers": {"tenant": "a.b"}}, "invalid_request"),
        ("a meeting too long", HELLO, {"headers": {"meeting": "m" * 65}}, "invalid_request"),
        ("an id that is none", HELLO, {"message_id": "42"}, "invalid_request"),
        ("an actor that is none", HELLO, {"headers": {"actor": '{"grants": ["root"]}'}}, "invalid_request"),
        ("an actor that is no text", HELLO, {"headers": {"actor": 5}}, "invalid_request"),
        ("negative time", HELLO, {"headers": {"remainingMs": -1}}, "invalid_request"),
    ],
)
async def test_what_cannot_be_read_is_answered_and_left_in_dead(
    rabbitmq: Broker, what: str, body: bytes, properties: dict[str, object], code: str
) -> None:
    queue, world = some_queue(), World()
    mark = uuid4().hex
    async with serving(rabbitmq.url, queue, world), stranger(rabbitmq.url) as tool:
        await tool.send(queue.name, body, **({"app_id": mark} | properties))
        assert failure(await tool.reply()).code == code
        await tool.send(queue.name, HELLO)
        assert (await tool.reply()).type == "Echoed"
        assert world.texts == ["hello"]
        assert await _found_dead(tool, mark)


async def test_a_failure_never_repeats_what_was_sent(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with serving(rabbitmq.url, queue, World()), stranger(rabbitmq.url) as tool:
        await tool.send(queue.name, b'{"text": ["my password"]}')
        assert "my password" not in failure(await tool.reply()).reason


async def test_poison_does_not_stop_the_consumer(rabbitmq: Broker) -> None:
    queue, world, dice = some_queue(), World(), random.Random(7)
    async with serving(rabbitmq.url, queue, world), stranger(rabbitmq.url) as tool:
        for number in range(200):
            odd = {"remainingMs": dice.choice([1, "x", None, 2**40]), "epoch": dice.choice([None, "y", -1, 2**40])}
            await tool.send(
                queue.name,
                dice.randbytes(dice.randrange(2_000)),
                type=dice.choice(["Echo", "Hold", "Nudge", "?" * 200]),
                headers=odd | {"traceparent": dice.choice([None, "00-0-0-00", 5])},
                reply_to=dice.choice([None, tool.reply_queue, "reply.nobody"]),
                correlation_id=dice.choice([None, "c"]),
                message_id=dice.choice([None, str(number)]),
            )
        await tool.send(queue.name, HELLO, correlation_id="last")
        async with asyncio.timeout(10):
            while (await tool.reply()).correlation_id != "last":
                pass
        assert world.texts == ["hello"]


@pytest.mark.parametrize("prefix", ["trap.", "replyx.", "reply:", "Reply.", "kendra.commands.", "dead.reply."])
async def test_only_queues_named_reply_are_answered(rabbitmq: Broker, prefix: str) -> None:
    queue, world = some_queue(), World()
    async with serving(rabbitmq.url, queue, world), stranger(rabbitmq.url) as tool:
        trap = await tool.channel.declare_queue(f"{prefix}{uuid4().hex}", durable=True, arguments={"x-expires": 60_000})
        await tool.send(queue.name, b'{"text": "forged"}', reply_to=trap.name)
        await tool.send(queue.name, b"{", reply_to=trap.name)
        await tool.send(queue.name, HELLO)
        await tool.reply()
        assert world.texts == ["hello"]
        assert await trap.get(fail=False) is None


async def test_a_reply_queue_that_is_gone_does_not_make_a_command_fail(rabbitmq: Broker) -> None:
    queue, world = some_queue(), World()
    async with serving(rabbitmq.url, queue, world) as service, stranger(rabbitmq.url) as tool:
        for _ in range(3):
            await tool.send(queue.name, b'{"text": "gone"}', reply_to="reply.tool.gone")
        await tool.send(queue.name, HELLO)
        assert (await tool.reply()).type == "Echoed"
        assert world.texts == ["gone"] * 3 + ["hello"]
        assert service.consuming


async def test_handlers_begin_in_the_order_of_arrival(rabbitmq: Broker) -> None:
    queue, world = some_queue(), World()
    async with serving(rabbitmq.url, queue, world), asking(rabbitmq.url) as bus:
        texts = [str(number) for number in range(100)]
        await asyncio.gather(*(bus.ask(queue.name, Echo(text=text), call()) for text in texts))
        assert world.texts == texts


async def test_no_more_than_the_prefetch_is_in_hand(rabbitmq: Broker) -> None:
    queue, world = some_queue(), World()
    service = Serving(rabbitmq.url, queue, HANDLERS, world, "try", "p1", prefetch=5)
    await service.start()
    async with asking(rabbitmq.url) as bus:
        asks = [asyncio.create_task(bus.ask(queue.name, Hold(), call())) for _ in range(20)]
        await world.begun(5)
        assert len(world.calls) == 5
        world.gate.set()
        await asyncio.gather(*asks)
        assert len(world.calls) == 20
    await service.stop(delete=True)


async def test_a_clean_stop_finishes_what_runs_and_refuses_what_waits(rabbitmq: Broker) -> None:
    queue, world = some_queue(), World()
    service = Serving(rabbitmq.url, queue, HANDLERS, world, "try", "p1", prefetch=3)
    await service.start()
    async with asking(rabbitmq.url) as bus:
        asks = [asyncio.create_task(bus.ask(queue.name, Hold(), call())) for _ in range(8)]
        await world.begun(3)
        stopping = asyncio.create_task(service.stop(delete=True))
        refused, _ = await asyncio.wait(asks, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        world.gate.set()
        ends = await asyncio.gather(*asks, return_exceptions=True)
        await stopping
        assert refused
        assert sum(isinstance(end, MediaServerUnavailable) for end in ends) == 5
        assert len(world.calls) == 3


async def test_a_stop_waits_no_longer_than_it_may(rabbitmq: Broker) -> None:
    queue, world = some_queue(), World()
    service = Serving(rabbitmq.url, queue, HANDLERS, world, "try", "p1")
    await service.start()
    async with asking(rabbitmq.url) as bus:
        ask = asyncio.create_task(bus.ask(queue.name, Hold(), call(0.5)))
        await world.begun(1)
        async with asyncio.timeout(5):
            await service.stop(delete=True, within=0.1)
        assert world.cancelled.is_set()
        with pytest.raises(DeadlineExceeded):
            await ask


async def test_asker_and_server_stop_while_the_broker_is_away(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with Line(rabbitmq.url).laid() as url:
        service, bus = Serving(url, queue, HANDLERS, World(), "try", "p1"), Bus(url, "asker", uuid4().hex)
        await service.start()
        await bus.start()
        assert (service.connected, service.consuming, bus.connected) == (True, True, True)
    await eventually(consuming(service, False))
    async with asyncio.timeout(10):
        await bus.tell(queue.name, Nudge(number=1), call(), expires=1.0)
        await service.stop(delete=True)
        await bus.stop()
    assert (service.connected, service.consuming, bus.connected) == (False, False, False)


async def test_another_server_of_the_queue_takes_over_when_one_stops(rabbitmq: Broker) -> None:
    queue, first, second = some_queue(), World(), World()
    one = Serving(rabbitmq.url, queue, HANDLERS, first, "try", "p1")
    await one.start()
    async with serving(rabbitmq.url, queue, second, process="p2"), asking(rabbitmq.url) as bus:
        asks = [asyncio.create_task(bus.ask(queue.name, Echo(text=str(number)), call())) for number in range(100)]
        await one.stop()
        assert [reply.text for reply in await asyncio.gather(*asks)] == [str(number) for number in range(100)]
        assert not one.consuming


async def test_a_handler_outlives_the_connection_and_answers_over_the_next(rabbitmq: Broker) -> None:
    queue, world, line = some_queue(), World(), Line(rabbitmq.url)
    async with line.laid() as url, serving(url, queue, world) as service, asking(rabbitmq.url) as bus:
        ask = asyncio.create_task(bus.ask(queue.name, Hold(), call(20)))
        await world.begun(1)
        line.cut()
        await eventually(consuming(service, False))
        world.gate.set()
        await ask
        assert not world.cancelled.is_set()
        await eventually(consuming(service, True))
        assert await bus.ask(queue.name, Echo(text="again"), call()) == Echoed(text="again")


async def test_a_server_whose_queue_was_deleted_makes_it_again(rabbitmq: Broker) -> None:
    queue = some_queue()
    async with serving(rabbitmq.url, queue, World()), asking(rabbitmq.url) as bus, stranger(rabbitmq.url) as operator:
        await operator.channel.queue_delete(queue.name)

        async def answered() -> Echoed:
            try:
                return await bus.ask(queue.name, Echo(text="back"), call())
            except MediaServerUnavailable as nobody:
                raise AssertionError from nobody

        assert await eventually(answered) == Echoed(text="back")


async def test_a_queue_that_exists_with_other_arguments_stops_the_start_and_harms_nobody(rabbitmq: Broker) -> None:
    queue = some_queue()
    other = QueueSpec(queue.name, extra=(("x-expires", 1_000_000),))
    async with serving(rabbitmq.url, queue, World()), asking(rabbitmq.url) as bus:
        service = Serving(rabbitmq.url, other, HANDLERS, World(), "try", "p2")
        with pytest.raises(ChannelPreconditionFailed):
            await service.start()
        assert not service.connected
        assert await bus.ask(queue.name, Echo(text="unharmed"), call()) == Echoed(text="unharmed")


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_kendras_queue_can_be_classic_or_quorum(rabbitmq: Broker, kind: str) -> None:
    made = kendra_commands(kind)  # type: ignore[arg-type]
    queue = QueueSpec(f"{made.name}.{uuid4().hex}", made.kind, made.extra)
    async with serving(rabbitmq.url, queue, World()), asking(rabbitmq.url) as bus:
        assert await bus.ask(queue.name, Echo(text=kind), call()) == Echoed(text=kind)


async def test_each_service_may_do_its_part_and_a_tool_may_ask_it(rabbitmq: Broker) -> None:
    media = media_commands("m1", uuid4().hex)  # type: ignore[arg-type]
    kendra = kendra_commands()
    async with (
        serving(rabbitmq.of["media"], media, World()),
        serving(rabbitmq.of["kendra"], kendra, World()),
        asking(rabbitmq.of["kendra"], "kendra") as from_kendra,
        asking(rabbitmq.of["gateway"], "gateway") as from_gateway,
        asking(rabbitmq.of["media"], "media-server") as from_media,
        stranger(rabbitmq.of["tool"]) as tool,
    ):
        assert await from_kendra.ask(media.name, Echo(text="1"), call())
        assert await from_gateway.ask(kendra.name, Echo(text="2"), call())
        assert await from_media.ask(kendra.name, Echo(text="3"), call())
        for queue in (media.name, kendra.name):
            await tool.send(queue, HELLO)
            assert (await tool.reply()).type == "Echoed"


def consuming(service: Serving[World], wanted: bool) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return service.consuming is wanted

    return look


async def _found_dead(tool: Stranger, mark: str) -> bool:
    """Say whether a message marked so is in `dead`, and take it out."""

    async def found() -> bool:
        dead = await tool.channel.get_queue("dead", ensure=False)
        others: list[aio_pika.abc.AbstractIncomingMessage] = []
        try:
            while message := await dead.get(fail=False):
                if message.app_id == mark:
                    await message.ack()
                    return True
                others.append(message)
        finally:
            for other in others:
                await other.nack(requeue=True)
        return False

    return await eventually(found)
