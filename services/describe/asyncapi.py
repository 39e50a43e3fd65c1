"""`docs/asyncapi.json`: the bus as an AsyncAPI 3.0 document, written from the contracts, the queues and the tables of handlers.

It describes the services' side: an operation that receives is a command that a service takes from its queue and answers.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from contracts.events import EVENTS
from contracts.failure import Failure
from contracts.handled import Envelope, Handled
from contracts.ids import BootId, MediaServerId
from contracts.live import LiveEvent
from contracts.message import CONTRACT_VERSION, Command, Message, Notice
from services.bus.document import all_of, shapes_of
from services.bus.handling import Handlers
from services.bus.queues import WATCH, QueueSpec, dead, kendra_commands, media_commands, replies
from services.describe.messages import BINDING, REF, Json, command_headers, correlated, messages, reply_headers, said
from services.kendra.handlers import HANDLERS as KENDRA
from services.media_server.handlers import HANDLERS as MEDIA_SERVER

PAGE = Path(__file__).parents[2] / "docs" / "asyncapi.json"
_FAILURE = Failure.__name__

_ABOUT = """Doordarshan Kendra's services talk over RabbitMQ: each command is one message, answered on a reply queue.
Ignore fields, values of an enumeration, events and failure codes that you do not know: within a version they are added.
docs/bus.md says the same for people, with an example."""
_PARAMETERS = {
    "server": "The media server's name.",
    "boot": "The media server's boot: another one after each start.",
    "service": "gateway, kendra, media or tool.",
    "process": "One process of the service, or a tool's own name.",
    "command": "The command's name.",
    "tenant": "Whose meeting it is; `-` for none.",
    "meeting": "The meeting's id; `-` for none.",
    "streamKey": "`{<tenant>:<meeting>:<incarnation>}` with its braces (Redis' hash tag); the incarnation is another UUID after a restore.",
    "meetingKey": "`{<tenant>:<meeting>}` with its braces.",
}


def asyncapi() -> Json:
    """Return the document."""
    commands, notices = all_of(Command), all_of(Notice)
    answers: list[type[Message]] = [command.reply_type() for command in commands]
    models: list[type[Message]] = [
        *commands,
        *answers,
        *notices,
        *EVENTS.values(),
        Envelope,
        Handled,
        Failure,
        LiveEvent,
    ]
    schemas = dict(shapes_of(models, REF))
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Doordarshan Kendra: the bus",
            "version": str(CONTRACT_VERSION),
            "description": " ".join(_ABOUT.split()),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {"host": "localhost:5672", "protocol": "amqp", "protocolVersion": "0.9.1"},
            "redis": {"host": "localhost:6379", "protocol": "redis"},
        },
        "channels": _channels(answers),
        "operations": {
            **_taken("kendra", "kendraCommands", KENDRA),
            **_taken("mediaServer", "mediaCommands", MEDIA_SERVER),
            **_told(),
        },
        "components": {
            "schemas": schemas,
            "messages": messages(commands, answers, notices),
            "messageTraits": {
                "command": {"headers": command_headers(schemas[Envelope.__name__]), **correlated()},
                "reply": {"headers": reply_headers(), **correlated()},
            },
        },
    }


def text() -> str:
    """Return the document as the file has it."""
    return json.dumps(asyncapi(), indent=1, ensure_ascii=False) + "\n"


def _channels(answers: Iterable[type[Message]]) -> Json:
    return {
        "kendraCommands": _queue("kendra.commands", kendra_commands(), KENDRA, "Every kendra takes from it."),
        "mediaCommands": _queue(
            "media.{server}.{boot}.commands",
            media_commands(MediaServerId("s"), BootId("b")),
            MEDIA_SERVER,
            "One boot of one media server.",
        ),
        "replies": _queue(
            "reply.{service}.{process}",
            replies("service", "process"),
            [*answers, Failure],
            "Whoever asks has one; tools are `reply.tool.<name>`.",
        ),
        "dead": _queue("dead", dead(), (), "What expired, was refused or could not be read, as it was."),
        "watch": _channel(
            "{service}.{command}.{tenant}.{meeting}",
            [Handled],
            "Who handled a command tells it here, once, unconfirmed: bind a queue of your own.",
            {
                "amqp": {
                    "is": "routingKey",
                    "exchange": {"name": WATCH, "type": "topic", "durable": True, "autoDelete": False},
                    "bindingVersion": BINDING,
                }
            },
        ),
        "meetingEvents": _channel(
            "events:{streamKey}",
            EVENTS.values(),
            "A Redis Stream per meeting, gapless: an entry's id is `<sequence>-0`.",
            {"redis": {}},
            server="redis",
        ),
        "liveEvents": _channel(
            "live:{meetingKey}",
            [LiveEvent],
            "Redis publish / subscribe: what is worthless when late.",
            {"redis": {}},
            server="redis",
        ),
    }


def _queue(address: str, spec: QueueSpec, carried: Iterable[type[Message]], about: str) -> Json:
    arguments: Json = dict(spec.arguments)
    queue: Json = {"name": address, "durable": True, "exclusive": False, "autoDelete": False}
    return {
        **_channel(address, carried, about, {"amqp": {"is": "queue", "queue": queue, "bindingVersion": BINDING}}),
        "x-arguments": arguments,
    }


def _channel(
    address: str, carried: Iterable[type[Message]], about: str, bindings: Json, server: str = "broker"
) -> Json:
    names = sorted({message.__name__ for message in carried})
    parameters: Json = {name: {"description": text} for name, text in _PARAMETERS.items() if f"{{{name}}}" in address}
    return {
        "address": address,
        "description": about,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        **({"parameters": parameters} if parameters else {}),
        "bindings": bindings,
    }


def _taken(service: str, channel: str, handlers: Handlers) -> Json:
    """Return an operation for each message that a service handles."""
    found: Json = {}
    for kind in sorted(handlers, key=lambda kind: kind.__name__):
        operation: Json = {
            "action": "receive",
            "summary": said(kind),
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": [{"$ref": f"#/channels/{channel}/messages/{kind.__name__}"}],
        }
        if issubclass(kind, Command):
            names = (kind.reply_type().__name__, _FAILURE)
            operation["reply"] = {
                "address": {"location": "$message.header#/reply_to"},
                "channel": {"$ref": "#/channels/replies"},
                "messages": [{"$ref": f"#/channels/replies/messages/{name}"} for name in names],
            }
        found[f"{service}.{kind.__name__}"] = operation
    return found


def _told() -> Json:
    """Return what services publish without being asked."""
    sent = {
        "watch": ("watch", "Tell what was handled, and how it ended."),
        "kendra.relay": ("meetingEvents", "Relay a meeting's log, lowest first."),
        "kendra.live": ("liveEvents", "Tell a meeting's clients now or never."),
    }
    return {
        name: {"action": "send", "summary": summary, "channel": {"$ref": f"#/channels/{channel}"}}
        for name, (channel, summary) in sent.items()
    }
