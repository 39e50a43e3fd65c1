"""From a command's bytes to its outcome: parse, run the handler until the deadline, turn what it raises into a Failure.

This is the one place where an exception becomes a reply. It knows no broker.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from pydantic import ValidationError

from contracts.failure import DeadlineExceeded, Failure, Internal, InvalidRequest, KendraError, UnknownCommand
from contracts.message import Command, Message, Notice, Reply
from services.bus.call import Call
from services.bus.envelope import as_json, what_is_wrong
from services.bus.metrics import OK

World = TypeVar("World")
Handler = Callable[..., Awaitable[Reply | None]]
"""`async def create_producer(order: CreateProducer, call: Call, world: World) -> ProducerCreated`; of a Notice it returns None."""
Handlers = Mapping[type[Message], Handler]
"""A service's table of contents: which handler carries out which command or notice."""

log = structlog.stdlib.get_logger("bus")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: its reply as it travels (none for a notice), which is a failure's or not, and cannot be told when `late`."""

    reply_type: str | None
    body: bytes
    failure: Failure | None = None
    late: bool = False

    @property
    def code(self) -> str:
        """The failure's code, or `ok`."""
        return self.failure.code if self.failure else OK


class Handling(Generic[World]):
    """The handler table of a service, and the world its handlers work in."""

    def __init__(self, handlers: Handlers, world: World) -> None:
        self._by_name = {kind.__name__: (kind, handler) for kind, handler in handlers.items()}
        self._world = world

    def knows(self, name: str | None) -> bool:
        """Say whether there is a handler for messages of that type."""
        return name in self._by_name

    def parse(self, name: str, body: bytes) -> Message:
        """Return the command. Raises UnknownCommand, InvalidRequest."""
        if name not in self._by_name:
            raise UnknownCommand(f"no command {name[:64]!r} here")
        try:
            return self._by_name[name][0].model_validate_json(body)
        except ValidationError as wrong:
            raise InvalidRequest(what_is_wrong(wrong)) from wrong

    async def run(self, order: Message, call: Call) -> Outcome:
        """Carry out a command; the handler is cancelled at the deadline."""
        handler = self._by_name[type(order).__name__][1]
        limit = asyncio.timeout(call.remaining())
        try:
            async with limit:
                reply = await handler(order, call, self._world)
            return _told(order, reply)
        except KendraError as error:
            return _failed(error)
        except Exception:
            if limit.expired():
                return _failed(DeadlineExceeded(), late=True)
            log.exception("a handler broke", command=type(order).__name__)
            return _failed(Internal())


def _failed(error: KendraError, *, late: bool = False) -> Outcome:
    failure = error.as_failure()
    return Outcome(Failure.__name__, as_json(failure), failure, late)


def _told(order: Message, reply: Reply | None) -> Outcome:
    """Return the reply as it travels. Raises TypeError when it is not of the type that the command promises."""
    if isinstance(order, Notice):
        return Outcome(None, b"null")
    assert isinstance(order, Command), "only commands and notices have handlers"
    expected: type[Reply] = order.reply_type()
    if not isinstance(reply, expected):
        raise TypeError(f"{type(order).__name__} was answered with a {type(reply).__name__}")
    return Outcome(expected.__name__, as_json(reply))
