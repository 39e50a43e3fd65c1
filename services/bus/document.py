"""`docs/bus.md`: the bus as an interface for tools, written from the contracts. `python -m services.bus.document` writes it.

The prose is in `document.md` beside this file; each of its comments that names a part is replaced. A test compares the page with
what this module says, so it cannot fall behind.
"""

import importlib
import json
import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue
from pydantic.json_schema import models_json_schema

import contracts
from contracts.events import EVENTS
from contracts.failure import ERRORS, Failure
from contracts.handled import Envelope, Handled
from contracts.ids import BootId, MediaServerId
from contracts.message import CONTRACT_VERSION, Command, Message, Notice
from services.bus.queues import QueueSpec, dead, kendra_commands, media_commands, replies

PAGE = Path(__file__).parents[2] / "docs" / "bus.md"
_PROSE = Path(__file__).with_name("document.md")
_REF = "#/shapes/{model}"
_WIDTH = 120
_AS_PROPERTIES = ("type", "commandId")

M = TypeVar("M", bound=Message)
Shapes = Mapping[str, JsonValue]


def document() -> str:
    """Return the page."""
    asked = {command: command.reply_type() for command in all_of(Command)}
    notices = all_of(Notice)
    models: list[type[Message]] = [*asked, *asked.values(), *notices, *EVENTS.values(), Envelope, Handled, Failure]
    shapes = shapes_of(models)
    shared = sorted(shapes.keys() - {model.__name__ for model in models})
    parts = {
        "version": str(CONTRACT_VERSION),
        "queues": _table(("queue", "arguments"), (_queue(name, spec) for name, spec in _queues().items())),
        "headers": _table(("header", "schema", "required"), _headers(shapes[Envelope.__name__])),
        "failures": _table(("code", "retryable", "meaning"), _failures()),
        "commands": "\n\n".join(_command(*pair, shapes) for pair in asked.items()),
        "notices": "\n\n".join(_section(notice.__name__, notice, shapes) for notice in notices),
        "events": "\n\n".join(_section(name, event, shapes) for name, event in EVENTS.items()),
        "handled": _block(shapes[Handled.__name__]),
        "shapes": "\n\n".join(f"### {name}\n\n{_block(shapes[name])}" for name in shared),
    }
    page = _PROSE.read_text()
    for name, part in parts.items():
        page = page.replace(f"<!-- {name} -->", part)
    return page


def all_of(base: type[M]) -> list[type[M]]:
    """Return every message of that sort that a contract declares, a flow's together."""
    for module in pkgutil.iter_modules(contracts.__path__):
        importlib.import_module(f"contracts.{module.name}")
    found: set[type[M]] = set()
    waiting = list(base.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if kind.__module__.startswith("contracts.") and not kind.__pydantic_generic_metadata__["origin"]:
            found.add(kind)
    return sorted(found, key=lambda kind: (kind.__module__, kind.__name__))


def shapes_of(models: Iterable[type[Message]], ref: str = _REF) -> Shapes:
    """Return the JSON schema of every model and of what they are made of, by name."""
    _, schema = models_json_schema([(model, "validation") for model in dict.fromkeys(models)], ref_template=ref)
    definitions: Shapes = schema["$defs"]
    return definitions


def _queues() -> dict[str, QueueSpec]:
    return {
        "kendra.commands": kendra_commands(),
        "kendra.commands with `DOORDARSHAN_COMMAND_QUEUE=quorum`": kendra_commands("quorum"),
        "media.&lt;server>.&lt;boot>.commands": media_commands(MediaServerId("s"), BootId("b")),
        "reply.&lt;service>.&lt;process>": replies("service", "process"),
        "dead": dead(),
    }


def _queue(name: str, spec: QueueSpec) -> tuple[str, str]:
    return name, ", ".join(f"`{argument}: {value}`" for argument, value in spec.arguments.items())


def _headers(envelope: JsonValue) -> Iterable[tuple[str, str, str]]:
    assert isinstance(envelope, dict)
    fields, required = envelope["properties"], envelope["required"]
    assert isinstance(fields, dict)
    assert isinstance(required, list)
    for name, schema in fields.items():
        if name not in _AS_PROPERTIES:
            assert isinstance(schema, dict)
            shown = {key: value for key, value in schema.items() if key not in {"title", "default"}}
            optional = name in {"bodyHash", "traceparent"}
            yield (
                f"`{name}`",
                f"`{json.dumps(shown)}`".replace("|", "\\|"),
                "yes" if name in required and not optional else "no",
            )


def _failures() -> Iterable[tuple[str, str, str]]:
    for code, error in sorted(ERRORS.items()):
        yield f"`{code}`", "yes" if error.retryable else "no", " ".join((error.__doc__ or "").split())


def _command(command: type[Message], reply: type[Message], shapes: Shapes) -> str:
    return f"{_section(command.__name__, command, shapes)}\n\nReply `{reply.__name__}`: {_said(reply)}\n\n{_block(shapes[reply.__name__])}"


def _section(name: str, message: type[Message], shapes: Shapes) -> str:
    return f"### {name}\n\n{_said(message)}\n\n{_block(shapes[message.__name__])}"


def _said(message: type[Message]) -> str:
    own = message.__dict__.get("__doc__")
    return " ".join(own.split()) if own else ""


def _block(schema: JsonValue) -> str:
    return f"```json\n{_written(plain(schema))}\n```"


def _written(value: JsonValue, depth: int = 0) -> str:
    """Return JSON text in which whatever fits stands on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + 2 * depth <= _WIDTH or not isinstance(value, dict):
        return line
    inner = "  " * (depth + 1)
    fields = (f"{inner}{json.dumps(name)}: {_written(field, depth + 1)}" for name, field in value.items())
    return "{\n" + ",\n".join(fields) + "\n" + "  " * depth + "}"


def plain(schema: JsonValue, *, names: bool = False) -> JsonValue:
    """Return a schema without what only repeats its names and what was said above it; `names` when the keys are field names."""
    if isinstance(schema, list):
        return [plain(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = set() if names else {"title", "description"}
    return {
        key: plain(value, names=key == "properties" and not names)
        for key, value in schema.items()
        if key not in dropped
    }


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(document())
