"""Watch records: each command that was handled is told to the topic exchange `watch`, numbered, without its secrets.

Commands themselves never pass through that exchange: a bound recorder would make every command routable, and "nobody there" blind.
"""

import itertools
import json
import re
from datetime import UTC, datetime

from aio_pika import Message as AmqpMessage
from aio_pika.abc import AbstractRobustConnection
from pydantic import JsonValue

from contracts.handled import Envelope, Handled
from services.bus.outbox import Outbox
from services.bus.queues import WATCH

_SECRET = re.compile(rb'("(?:\w*[pP]assword|\w*[cC]redential|\w*[sS]ecret|\w*[tT]oken)"\s*:\s*)"(?:[^"\\]|\\.)*"')
"""A name and its string value. Inside a JSON string every quote is escaped, so this never matches within one."""

_WORTHLESS_AFTER = 5.0


def blanked(body: bytes) -> bytes:
    """Return the JSON text with the values of passwords, credentials, secrets and tokens blanked."""
    return _SECRET.sub(rb'\1"***"', body)


class Watch:
    """The records of one process, numbered from 1 without a hole; a lost record is a hole that its recorder sees."""

    def __init__(self, service: str, process: str, queue: str) -> None:
        self._service, self._process, self._queue = service, process, queue
        self._numbers = itertools.count(1)
        self._outbox = Outbox("watch")

    async def start(self, connection: AbstractRobustConnection) -> None:
        """Begin to send; the exchange `watch` must exist."""
        await self._outbox.start(connection, WATCH)

    async def stop(self) -> None:
        """Send what waits, then end."""
        await self._outbox.stop()

    def record(self, envelope: Envelope, command: bytes, reply_type: str | None, reply: bytes, seconds: float) -> None:
        """Tell that a command was handled in `seconds`. Bodies are JSON texts."""
        handled = Handled(
            number=next(self._numbers),
            service=self._service,
            process=self._process,
            queue=self._queue,
            at=datetime.now(UTC),
            seconds=seconds,
            envelope=envelope,
            command=_read(command),
            reply_type=reply_type,
            reply=_read(reply),
        )
        body = handled.model_dump_json(by_alias=True).encode()
        key = f"{self._service}.{envelope.type}.{envelope.tenant}.{envelope.meeting}"
        message = AmqpMessage(
            body, content_type="application/json", type=Handled.__name__, message_id=str(envelope.command_id)
        )
        self._outbox.post(message, key, within=_WORTHLESS_AFTER)


def _read(body: bytes) -> JsonValue:
    value: JsonValue = json.loads(blanked(body))
    return value
