"""Ask: a command goes to a queue, its reply comes to this process's own reply queue, a future per correlation id joins the two.

* Every ask has a deadline and is answered by it, with a reply or an exception.
* A message the broker cannot route is returned at once (mandatory, with confirms): nobody is there, and surely nothing was done.
* After a reconnect what is still waited for is sent once more, with the same command id; whoever handles it has its effect once.
* Publishing and consuming have connections of their own: a broker that blocks publishers goes on delivering replies.
"""

import asyncio
import itertools
import secrets
import time
from typing import TypeVar

from aio_pika.abc import (
    AbstractIncomingMessage,
    AbstractRobustChannel,
    AbstractRobustConnection,
)
from aiormq.exceptions import DeliveryError
from pydantic import ValidationError

from contracts.failure import (
    Busy,
    DeadlineExceeded,
    Failure,
    Internal,
    KendraError,
    MediaServerUnavailable,
    Unavailable,
    raised,
)
from contracts.message import Command, Notice, Reply
from services.bus import envelope, queues
from services.bus.asking import Asking
from services.bus.call import Call
from services.bus.connection import connect, hanging_up, lost_by_peer, open_channel, publish, usable
from services.bus.metrics import ASK_SECONDS, ASKS, OK
from services.bus.outbox import Outbox
from services.fault_points import Point, reached

R = TypeVar("R", bound=Reply)

MOST_PENDING = 10_000
"""Asks in flight of one process; more are refused, so that a broker that is away cannot fill the memory."""


class NobodyThere(MediaServerUnavailable):
    """The queue does not exist: its owner stopped or never ran, and the command was surely not carried out."""


class Bus:
    """The asking half of the bus. `process` is unique among the running processes of a service.

    Its reply queue outlives it by `replies_kept` seconds, so that a lost connection loses no reply.
    """

    def __init__(self, url: str, service: str, process: str, *, replies_kept: float = queues.REPLIES_KEPT) -> None:
        self._url = url
        self._name = f"{service}.{process}"
        self._replies = queues.replies(service, process, replies_kept)
        self._pending: dict[str, Asking] = {}
        self._numbers = itertools.count(1)
        self._start_of_life = secrets.token_hex(4)
        self._repeats: set[asyncio.Task[None]] = set()
        self._notices = Outbox("notice")
        self._publishing: AbstractRobustConnection | None = None
        self._consuming: AbstractRobustConnection | None = None
        self._channel: AbstractRobustChannel | None = None
        self._incoming: AbstractRobustChannel | None = None
        self._started = False

    @property
    def connected(self) -> bool:
        """Whether it was started and both connections are up: who asks now is not refused for want of a channel."""
        both = (self._publishing, self._consuming)
        return self._started and all(one is not None and not one.is_closed and one.connected.is_set() for one in both)

    async def start(self) -> None:
        """Connect, and make the reply queue. Raises what aio-pika raises when the broker cannot be reached; nothing is left open then."""
        try:
            with hanging_up():
                await self._connect()
        except BaseException:
            await self.stop()
            raise

    async def _connect(self) -> None:
        self._consuming = await connect(self._url, f"{self._name} replies")
        self._incoming = await open_channel(self._consuming, confirms=False)
        queue = await self._incoming.declare_queue(
            self._replies.name, durable=True, arguments=dict(self._replies.arguments)
        )
        await queue.consume(self._on_reply, no_ack=True)
        self._publishing = await connect(self._url, f"{self._name} asks")
        self._channel = await open_channel(self._publishing, confirms=True)
        self._channel.return_callbacks.add(self._on_return)
        await self._notices.start(self._publishing)
        for connection in (self._consuming, self._publishing):
            connection.reconnect_callbacks.add(self._on_reconnect)
        self._started = True

    async def stop(self) -> None:
        """Fail what is still waited for and disconnect."""
        self._started = False
        await self._notices.stop()
        for asking in self._pending.values():
            asking.fail(Unavailable("this process is stopping"))
        for repeat in self._repeats:
            repeat.cancel()
        both = (one for one in (self._publishing, self._consuming) if one is not None)
        await asyncio.gather(*(one.close() for one in both))

    async def ask(self, queue: str, order: Command[R], call: Call) -> R:
        """Have a command carried out by whoever serves the queue, and return its reply before `call.deadline`.

        Raises the KendraError of a Failure; NobodyThere when the queue does not exist; Busy when it refuses more; Unavailable when
        the broker never took the command; DeadlineExceeded when it did and no reply came (the outcome is unknown).
        """
        name = envelope.name_of(type(order))
        started, code = time.perf_counter(), OK
        try:
            return _parsed(await self._round_trip(queue, name, envelope.as_json(order), call), order.reply_type())
        except KendraError as failure:
            code = failure.code
            raise
        finally:
            ASKS.labels(name, code).inc()
            ASK_SECONDS.labels(name).observe(time.perf_counter() - started)

    async def exchange(self, queue: str, name: str, body: bytes, call: Call) -> tuple[str, bytes]:
        """Have a command carried out that is JSON already; return its reply's type and JSON, also when that is a `Failure`.

        Raises what `ask` raises when there is no reply: NobodyThere, Busy, Unavailable, DeadlineExceeded.
        """
        reply = await self._round_trip(queue, name, body, call)
        return reply.type or "", reply.body

    async def tell(self, queue: str, notice: Notice | Command[R], call: Call, expires: float) -> None:
        """Send what nobody answers, worthless after `expires` seconds. Never waits and never fails: it may be lost."""
        properties = envelope.outgoing(envelope.name_of(type(notice)), call, remaining=expires)
        self._notices.post(envelope.as_json(notice), properties, queue, within=expires)

    async def _round_trip(self, queue: str, name: str, body: bytes, call: Call) -> AbstractIncomingMessage:
        if len(self._pending) >= MOST_PENDING:
            raise Unavailable("too many commands wait for their replies")
        if call.remaining() <= 0:
            raise DeadlineExceeded
        correlation = f"{self._start_of_life}-{next(self._numbers)}"
        asking = Asking(queue, name, body, call, correlation)
        self._pending[correlation] = asking
        try:
            async with asyncio.timeout(call.remaining()):
                await self._send(asking)
                return await asking.answer
        except TimeoutError:
            raise (
                DeadlineExceeded if asking.confirmed else Unavailable("the broker did not take the command in time")
            ) from None
        finally:
            del self._pending[correlation]

    async def _send(self, asking: Asking) -> None:
        """Publish until the broker confirms or returns it. The caller has the deadline."""
        while not asking.answer.done():
            try:
                await self._publish(asking)
                return
            except DeliveryError:
                raise Busy("the queue is full") from None
            except BaseException as error:
                if not lost_by_peer(error):
                    raise
            await usable(self._open())

    async def _publish(self, asking: Asking) -> None:
        properties = envelope.outgoing(
            asking.type,
            asking.call,
            remaining=asking.call.remaining(),
            reply_to=self._replies.name,
            correlation_id=asking.correlation,
        )
        reached(Point.BEFORE_PUBLISH)
        if await publish(self._open(), asking.body, properties, asking.queue, mandatory=True):
            asking.confirmed = True
            reached(Point.AFTER_PUBLISH)
        elif not asking.confirmed:
            asking.fail(NobodyThere())

    def _open(self) -> AbstractRobustChannel:
        if self._channel is None:
            raise Unavailable("the bus was not started")
        return self._channel

    async def _on_reply(self, message: AbstractIncomingMessage) -> None:
        asking = self._pending.get(message.correlation_id or "")
        if asking is not None:
            asking.answered(message)

    def _on_return(self, _: object, message: AbstractIncomingMessage) -> None:
        """Two asks with one command id share aiormq's bookkeeping of returns, so the correlation id decides whose it was."""
        asking = self._pending.get(message.correlation_id or "")
        if asking is not None and not asking.confirmed:
            asking.fail(NobodyThere())

    async def _on_reconnect(self, *_: object) -> None:
        for asking in self._pending.values():
            if asking.confirmed and not asking.repeated:
                asking.repeated = True
                repeat = asyncio.create_task(self._repeat(asking))
                self._repeats.add(repeat)
                repeat.add_done_callback(self._repeats.discard)

    async def _repeat(self, asking: Asking) -> None:
        """Send a confirmed command once more: the broker may have lost it, or its reply, with the connection."""
        try:
            async with asyncio.timeout(asking.call.remaining()):
                await self._send(asking)
        except (TimeoutError, KendraError):
            return


def _parsed(message: AbstractIncomingMessage, reply: type[R]) -> R:
    try:
        if message.type == Failure.__name__:
            raise raised(Failure.model_validate_json(message.body))
        if message.type == reply.__name__:
            return reply.model_validate_json(message.body)
    except ValidationError as wrong:
        raise Internal(f"a reply of type {message.type} does not parse") from wrong
    raise Internal(f"a reply of type {message.type} came for a {reply.__name__}")
