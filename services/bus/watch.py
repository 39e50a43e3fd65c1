"""Watch records: each command that was handled is told to the topic exchange `watch`, numbered, without its secrets.

Commands themselves never pass through that exchange: a bound recorder would make every command routable, and "nobody there" blind.
"""

import itertools
import json
import re
from datetime import UTC, datetime

from aio_pika.abc import AbstractRobustConnection

from contracts.handled import Envelope, Handled
from services.bus.connection import TRANSIENT, Properties
from services.bus.outbox import Outbox
from services.bus.queues import WATCH

_SECRET = re.compile(rb'((?:[pP]assword|[cC]redential|[sS]ecret|[tT]oken)"\s*:\s*)"(?:[^"\\]|\\.)*"')
"""The end of a name and its string value. Inside a JSON string every quote is escaped, so this never matches within one."""

_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")
"""A token by its looks, wherever an application put it."""

_WORTHLESS_AFTER = 5.0


def blanked(body: bytes) -> bytes:
    """Return the JSON text with the values of passwords, credentials, secrets and tokens blanked, and whatever looks like a token."""
    return _JWT.sub(b"***", _SECRET.sub(rb'\1"***"', body))


class Watch:
    """The records of one process, numbered from 1 without a hole; a lost record is a hole that its recorder sees."""

    def __init__(self, service: str, process: str, queue: str) -> None:
        self._service = service
        self._who = json.dumps({"service": service, "process": process, "queue": queue})[1:-1].encode()
        self._numbers = itertools.count(1)
        self._outbox = Outbox("watch")

    async def start(self, connection: AbstractRobustConnection) -> None:
        """Begin to send; the exchange `watch` must exist."""
        await self._outbox.start(connection, WATCH)

    async def stop(self) -> None:
        """Send what waits, then end."""
        await self._outbox.stop()

    def record(self, envelope: Envelope, command: bytes, reply_type: str | None, reply: bytes, seconds: float) -> None:
        """Tell that a command was handled in `seconds`. The bodies are JSON texts."""
        properties = Properties(
            content_type="application/json",
            delivery_mode=TRANSIENT,
            message_type=Handled.__name__,
            message_id=str(envelope.command_id),
        )
        key = f"{self._service}.{envelope.type}.{envelope.tenant}.{envelope.meeting}"
        body = self._handled(envelope, command, reply_type, reply, seconds)
        self._outbox.post(body, properties, key, within=_WORTHLESS_AFTER)

    def _handled(
        self, envelope: Envelope, command: bytes, reply_type: str | None, reply: bytes, seconds: float
    ) -> bytes:
        """Return a `Handled` as JSON. The bodies are JSON already: they are set in, not read and written again for each command."""
        return b'{"number":%d,%b,"at":"%b","seconds":%.6f,"envelope":%b,"command":%b,"replyType":%b,"reply":%b}' % (
            next(self._numbers),
            self._who,
            datetime.now(UTC).isoformat().encode(),
            seconds,
            envelope.model_dump_json(by_alias=True).encode(),
            blanked(command),
            json.dumps(reply_type).encode(),
            blanked(reply),
        )
