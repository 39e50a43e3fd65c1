"""A command as an AMQP message: `type`, `message_id` = command id, `correlation_id`, `reply_to`, `expiration`, and headers.

Everything is validated on receipt. The deadline travels as remaining milliseconds, for two machines agree on no clock.
"""

import hashlib
import re
import time
from functools import cache
from uuid import UUID

from aio_pika.abc import AbstractIncomingMessage
from pamqp.common import FieldTable
from pydantic import ValidationError

from contracts.actor import Actor
from contracts.failure import InvalidRequest, UnknownCommand
from contracts.handled import Envelope
from contracts.ids import CommandId
from contracts.message import CONTRACT_VERSION, Message
from services.bus.call import Call, new_traceparent
from services.bus.connection import TRANSIENT, Properties, milliseconds
from services.bus.queues import REPLY_PREFIX

LONGEST = 60.0
"""No command may take longer, whatever its header says; seconds."""

_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_REPLY_QUEUE = re.compile(re.escape(REPLY_PREFIX) + r"[A-Za-z0-9_.-]{1,200}")


@cache
def contract(message: type[Message]) -> type[Message]:
    """Return the class that travels: an HTTP body (a subclass that forbids unknown fields) is sent on as its parent."""
    kinds = (kind for kind in message.__mro__ if issubclass(kind, Message))
    return next(kind for kind in kinds if kind.model_config.get("extra") != "forbid")


@cache
def name_of(message: type[Message]) -> str:
    """Return the `type` under which a message travels."""
    return contract(message).__name__


def as_json(message: Message) -> bytes:
    """Return the body. What was not set is left out, so that parameters of a browser arrive as they were sent."""
    return message.model_dump_json(by_alias=True, exclude_unset=True).encode()


def outgoing(
    name: str, call: Call, *, remaining: float, reply_to: str | None = None, correlation_id: str | None = None
) -> Properties:
    """Return what goes beside the body of a command that has `remaining` seconds, and where its reply goes, if it is answered."""
    headers: FieldTable = {
        "remainingMs": max(0, int(remaining * 1000)),
        "tenant": call.tenant,
        "meeting": call.meeting,
        "actor": call.actor.model_dump_json(by_alias=True, exclude_none=True),
        "bodyHash": call.body_hash,
        "traceparent": call.traceparent or new_traceparent(),
        "contractVersion": CONTRACT_VERSION,
    }
    if call.epoch is not None:
        headers["epoch"] = call.epoch
    return Properties(
        content_type="application/json",
        delivery_mode=TRANSIENT,
        message_type=name,
        message_id=str(call.command_id),
        expiration=milliseconds(remaining),
        headers=headers,
        reply_to=reply_to,
        correlation_id=correlation_id,
    )


def received(message: AbstractIncomingMessage) -> tuple[Envelope, Call]:
    """Return what came beside the body.

    Raises InvalidRequest for anything missing or misshapen, UnknownCommand for a contract version that is not spoken here.
    """
    headers = message.headers
    if headers.get("contractVersion", CONTRACT_VERSION) != CONTRACT_VERSION:
        raise UnknownCommand(
            f"this service speaks contract version {CONTRACT_VERSION}, not {headers['contractVersion']!r}"
        )
    traceparent = headers.get("traceparent")
    if not isinstance(traceparent, str) or not _TRACEPARENT.fullmatch(traceparent):
        traceparent = new_traceparent()
    try:
        envelope = Envelope.model_validate(
            {
                "bodyHash": hashlib.sha256(message.body).hexdigest(),
                **headers,
                "type": message.type,
                "commandId": UUID(message.message_id),
                "actor": Actor.model_validate_json(_text(headers.get("actor", "{}"))),
                "traceparent": traceparent,
            }
        )
    except ValidationError as wrong:
        raise InvalidRequest(f"envelope: {what_is_wrong(wrong)}") from wrong
    except (TypeError, ValueError) as wrong:
        raise InvalidRequest("envelope: message_id is not a UUID, or the header actor is not a text") from wrong
    return envelope, _call(envelope)


def _text(header: object) -> str:
    if not isinstance(header, str):
        raise TypeError("not a text")
    return header


def _call(envelope: Envelope) -> Call:
    return Call(
        command_id=CommandId(envelope.command_id),
        tenant=envelope.tenant,
        meeting=envelope.meeting,
        epoch=envelope.epoch,
        actor=envelope.actor,
        deadline=time.monotonic() + min(envelope.remaining_ms / 1000, LONGEST),
        body_hash=envelope.body_hash,
        traceparent=envelope.traceparent,
    )


def may_be_answered(reply_to: str | None) -> bool:
    """Only a queue named `reply.*` is answered, so that nobody has a service write elsewhere."""
    return reply_to is not None and _REPLY_QUEUE.fullmatch(reply_to) is not None


def what_is_wrong(error: ValidationError) -> str:
    """Return where and why, never the value itself: it may be a secret."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[:5]
    return "; ".join(f"{'.'.join(str(part) for part in one['loc']) or 'body'}: {one['msg']}" for one in found)[:500]
