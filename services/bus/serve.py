"""Serve: FastStream consumes one queue; each command is dispatched by its `type`, carried out, answered and acknowledged.

* At most `prefetch` commands are in hand. Handlers start in the order of arrival; what needs an order beyond that keeps its own.
* A command past its deadline is dropped before any work. What cannot be read is answered with a failure and goes to `dead`.
* A handler runs in a task of its own: a lost connection cancels neither it nor its reply, which waits for the next connection.
* A reply goes out on its own connection, without `mandatory`: an asker that is gone never makes a handled command fail.
"""

import asyncio
import time
from contextlib import suppress
from typing import Generic

import structlog
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustChannel, AbstractRobustConnection
from aiormq.exceptions import ChannelPreconditionFailed

from contracts.failure import Failure, Internal, InvalidRequest, KendraError, MediaServerUnavailable
from contracts.handled import Envelope
from contracts.message import CONTRACT_VERSION
from services.bus.connection import (
    LOST,
    TRANSIENT,
    Properties,
    connect,
    hanging_up,
    lost_by_peer,
    milliseconds,
    open_channel,
    publish,
    usable,
)
from services.bus.consumer import Consumer
from services.bus.envelope import as_json, may_be_answered, received
from services.bus.handling import Handlers, Handling, Outcome, World
from services.bus.metrics import HANDLE_SECONDS, HANDLED
from services.bus.queues import QueueSpec, declare_shared
from services.bus.watch import Watch
from services.fault_points import Point, reached

log = structlog.stdlib.get_logger("bus")

_LATE = "late"
_REFUSAL = 1.0
"""How long the reply to an unreadable message may take, for its deadline is unreadable too; seconds."""


class Serving(Generic[World]):
    """The answering half of the bus: `handlers` carry out what arrives in `queue`."""

    def __init__(  # noqa: PLR0917
        self,
        bus_url: str,
        queue: QueueSpec,
        handlers: Handlers,
        world: World,
        service: str,
        process: str,
        *,
        prefetch: int = 256,
    ) -> None:
        self._url = bus_url
        self._queue = queue
        self._name = f"{service}.{process}"
        self._handling = Handling(handlers, world)
        self._consumer = Consumer(bus_url, f"{self._name} commands", queue, arrive=self._arrive, prefetch=prefetch)
        self._watch = Watch(service, process, queue.name)
        self._running: set[asyncio.Task[None]] = set()
        self._publishing: AbstractRobustConnection | None = None
        self._replies: AbstractRobustChannel | None = None

    @property
    def consuming(self) -> bool:
        """Whether the broker has this process as a consumer now: it can be asked."""
        return self._consumer.consuming

    @property
    def heard_at(self) -> float | None:
        """When, by the monotonic clock, the broker was asked that said last that there is a consumer."""
        return self._consumer.heard_at

    @property
    def connected(self) -> bool:
        """Whether replies can be sent."""
        return self._publishing is not None and self._publishing.connected.is_set()

    async def start(self) -> None:
        """Connect, declare the queue and what all share, and begin to serve.

        Raises what aio-pika raises: the broker cannot be reached, or the queue exists with other arguments. Nothing is left open then.
        """
        try:
            with hanging_up():
                await self._connect()
        except BaseException:
            await self.stop(within=0.0)
            raise

    async def _connect(self) -> None:
        self._publishing = await connect(self._url, f"{self._name} replies out")
        topology = await open_channel(self._publishing, confirms=False)
        await declare_shared(topology)
        await self._queue.declare(topology)
        await topology.close()
        self._replies = await open_channel(self._publishing, confirms=False)
        await self._watch.start(self._publishing)
        await self._consumer.start()

    async def stop(self, *, delete: bool = False, within: float = 10.0) -> None:
        """Stop consuming, finish what runs (for at most `within` seconds), disconnect.

        With `delete` the queue goes first and what still waits in it is refused, so that whoever asks from then on learns at once
        that nobody is there.
        """
        with suppress(TimeoutError, *LOST):
            async with asyncio.timeout(2.0):
                await self._consumer.cancel()
                if delete:
                    await self._delete()
        if self._running:
            await asyncio.wait(self._running, timeout=within)
        for task in self._running:
            task.cancel()
        await self._watch.stop()
        await self._consumer.stop()
        if self._publishing is not None:
            await self._publishing.close()

    async def _delete(self) -> None:
        assert self._publishing is not None
        while True:
            while (message := await self._consumer.take()) is not None:
                await self._refuse(message, MediaServerUnavailable())
                await _settle(message)
            channel = await open_channel(self._publishing, confirms=False)
            try:
                await channel.queue_delete(self._queue.name, if_empty=True)
                return
            except ChannelPreconditionFailed:
                continue
            finally:
                await channel.close()

    async def _arrive(self, message: AbstractIncomingMessage) -> None:
        task = asyncio.create_task(self._handle(message))
        self._running.add(task)
        task.add_done_callback(self._ended)
        await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (bug := task.exception()) is not None:
            log.error("the bus broke while it handled a message", exc_info=bug)

    async def _handle(self, message: AbstractIncomingMessage) -> None:
        started = time.perf_counter()
        reached(Point.BEFORE_RECEIVE, message.type)
        try:
            envelope, call = received(message)
            if message.reply_to and not may_be_answered(message.reply_to):
                raise InvalidRequest("replies go to queues named reply.* only")
            order = self._handling.parse(envelope.type, message.body)
        except KendraError as refusal:
            await self._poison(message, refusal)
            return
        structlog.contextvars.bind_contextvars(
            command=envelope.type,
            command_id=message.message_id,
            tenant=call.tenant,
            meeting=call.meeting,
            trace=envelope.traceparent[3:35],
        )
        if call.remaining() > 0:
            reached(Point.AFTER_RECEIVE)
            outcome = await self._handling.run(order, call)
            if message.reply_to and outcome.reply_type and not outcome.late:
                reached(Point.BEFORE_REPLY)
                await self._reply(message, outcome.reply_type, outcome.body, call.deadline)
                reached(Point.AFTER_REPLY)
            self._tell(envelope, message.body, outcome, time.perf_counter() - started)
        else:
            HANDLED.labels(envelope.type, _LATE).inc()
        reached(Point.BEFORE_ACK)
        await _settle(message)
        reached(Point.AFTER_ACK)

    def _tell(self, envelope: Envelope, command: bytes, outcome: Outcome, seconds: float) -> None:
        """Count, log and record what was handled."""
        HANDLED.labels(envelope.type, outcome.code).inc()
        HANDLE_SECONDS.labels(envelope.type).observe(seconds)
        self._watch.record(envelope, command, outcome.reply_type, outcome.body, seconds)
        took = round(seconds * 1000, 1)
        if outcome.failure is None:
            log.debug("handled", ms=took)
        elif outcome.code != Internal.code:  # the one place that made it internal has logged it, with its traceback
            log.info("refused", code=outcome.code, reason=outcome.failure.reason, ms=took)

    async def _poison(self, message: AbstractIncomingMessage, refusal: KendraError) -> None:
        """Answer what cannot be carried out, if that is allowed, and leave it in `dead` for an operator."""
        known = self._handling.knows(message.type)
        HANDLED.labels(message.type if known else "unknown", refusal.code).inc()
        log.warning("unreadable message", type=(message.type or "")[:64], code=refusal.code, reason=refusal.reason)
        await self._refuse(message, refusal)
        await _settle(message, dead=True)

    async def _refuse(self, message: AbstractIncomingMessage, refusal: KendraError) -> None:
        if may_be_answered(message.reply_to):
            body = as_json(refusal.as_failure())
            await self._reply(message, Failure.__name__, body, time.monotonic() + _REFUSAL)

    async def _reply(self, message: AbstractIncomingMessage, name: str, body: bytes, deadline: float) -> None:
        """Send a reply while its asker waits. Nobody is told when it cannot be sent: the asker repeats, or gives up."""
        assert self._replies is not None
        remaining = deadline - time.monotonic()
        properties = Properties(
            content_type="application/json",
            delivery_mode=TRANSIENT,
            message_type=name,
            message_id=message.message_id,
            correlation_id=message.correlation_id,
            expiration=milliseconds(remaining),
            headers={"contractVersion": CONTRACT_VERSION},
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(remaining):
                while not await self._sent(body, properties, message.reply_to or ""):
                    await usable(self._replies)

    async def _sent(self, body: bytes, properties: Properties, queue: str) -> bool:
        assert self._replies is not None
        try:
            return await publish(self._replies, body, properties, queue)
        except BaseException as error:
            if not lost_by_peer(error):
                raise
            return False


async def _settle(message: AbstractIncomingMessage, *, dead: bool = False) -> None:
    """Acknowledge, or dead-letter. On a channel that is gone the broker has the message again, and whoever gets it finds its id used."""
    if message.delivery_tag is None:
        return
    with suppress(*LOST):
        if dead:
            await message.channel.basic_reject(message.delivery_tag, requeue=False, wait=False)
        else:
            await message.channel.basic_ack(message.delivery_tag, wait=False)
