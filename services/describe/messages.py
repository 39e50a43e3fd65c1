"""The messages of the AsyncAPI document: their bodies, and what comes beside them.

AMQP properties stand beside the headers in `headers`, for AsyncAPI has no other place for them.
"""

from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from contracts.events import EVENTS
from contracts.failure import ERRORS, Failure
from contracts.handled import Handled
from contracts.live import LiveEvent
from contracts.message import Message

Json = dict[str, JsonValue]

REF = "#/components/schemas/{model}"
BINDING = "0.3.0"
_IN_PROPERTIES = {"type", "commandId"}
"""Fields of the envelope that travel as AMQP properties."""


def messages(
    commands: Iterable[type[Message]], replies: Iterable[type[Message]], notices: Iterable[type[Message]]
) -> Json:
    """Return every message that travels, by its model's name."""
    found: Json = {kind.__name__: _message(kind, trait="command") for kind in (*commands, *notices)}
    found |= {kind.__name__: _message(kind, trait="reply") for kind in replies}
    found[Failure.__name__] = {**_message(Failure, trait="reply"), "x-codes": _codes()}
    found[Handled.__name__] = _message(Handled)
    found[LiveEvent.__name__] = _message(LiveEvent)
    for type, event in EVENTS.items():
        found[event.__name__] = {**_message(event, name=type), "headers": _entry(type)}
    return found


def _message(kind: type[Message], *, trait: str | None = None, name: str | None = None) -> Json:
    message: Json = {"name": name or kind.__name__, "payload": {"$ref": REF.format(model=kind.__name__)}}
    if summary := said(kind):
        message["summary"] = summary
    if trait is not None:
        message["traits"] = [{"$ref": f"#/components/messageTraits/{trait}"}]
        message["bindings"] = {"amqp": {"messageType": kind.__name__, "bindingVersion": BINDING}}
    return message


def command_headers(envelope: JsonValue) -> Json:
    """Return what comes beside a command's body."""
    assert isinstance(envelope, dict)
    fields = envelope["properties"]
    assert isinstance(fields, dict)
    own: Mapping[str, JsonValue] = {name: schema for name, schema in fields.items() if name not in _IN_PROPERTIES}
    properties: Json = {
        "type": {"type": "string", "description": "AMQP property: the command's name."},
        "message_id": {
            "type": "string",
            "format": "uuid",
            "description": "AMQP property: the same id is the same command.",
        },
        "correlation_id": {"type": "string", "description": "AMQP property: comes back with the reply."},
        "reply_to": {"type": "string", "pattern": r"^reply\.[A-Za-z0-9_.-]{1,200}$", "description": "AMQP property."},
        "expiration": {"type": "string", "description": "AMQP property: the milliseconds that are left."},
        **own,
        "actor": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "Who asks: JSON of the schema Actor.",
        },
    }
    return {
        "type": "object",
        "properties": properties,
        "required": ["type", "message_id", "tenant", "meeting", "remainingMs"],
    }


def reply_headers() -> Json:
    """Return what comes beside a reply's body."""
    properties: Json = {
        "type": {"type": "string", "description": "AMQP property: the reply's name, or Failure."},
        "correlation_id": {"type": "string", "description": "AMQP property: the command's."},
        "contractVersion": {"type": "integer"},
    }
    return {"type": "object", "properties": properties, "required": ["type", "correlation_id"]}


def _entry(type: str) -> Json:
    """Return the fields of a stream's entry beside its `body`."""
    properties: Json = {
        "type": {"const": type},
        "epoch": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "to": {"type": "string", "description": "A participant, or empty for all."},
    }
    return {"type": "object", "properties": properties, "required": ["type", "epoch", "at", "to"]}


def correlated() -> Json:
    """Return where a reply says which command it answers."""
    return {"correlationId": {"location": "$message.header#/correlation_id"}}


def _codes() -> Json:
    return {
        code: {"retryable": error.retryable, "description": " ".join((error.__doc__ or "").split())}
        for code, error in sorted(ERRORS.items())
    }


def said(kind: type[Message]) -> str:
    """Return a message's own docstring as one line."""
    return " ".join((kind.__dict__.get("__doc__") or "").split())
