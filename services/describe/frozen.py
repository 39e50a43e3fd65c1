"""What each version of the contract promises, frozen in `contracts/versions/<version>.json`.

The file of the version that is spoken is only ever extended, compatibly (`compatible.py`); files of earlier versions stay as they are.
An incompatible change needs a new `CONTRACT_VERSION`, and with it services that are all replaced at once: each refuses the other version.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue

import contracts
from contracts.events import EVENTS
from contracts.failure import ERRORS, Failure
from contracts.handled import Envelope, Handled
from contracts.message import CONTRACT_VERSION, Command, Message, Notice
from services.bus.document import all_of, plain, shapes_of
from services.describe.compatible import Direction, Shapes, broken

VERSIONS = Path(contracts.__file__).with_name("versions")
_WHAT_TO_DO = (
    "keep what was promised (give a new field a default, leave the old one beside it), "
    "or raise CONTRACT_VERSION in contracts/message.py"
)


class Incompatible(Exception):
    """The contract broke what its version promises; the message says where, and what to do."""


class Promised(BaseModel):
    """Everything that can be said on the bus in one version: names, and the shapes behind them."""

    model_config = ConfigDict(frozen=True)

    version: int
    commands: dict[str, str]
    """A command's name → its reply's."""
    notices: list[str]
    events: dict[str, str]
    """An event's type → the name of its shape."""
    failures: list[str]
    shapes: dict[str, JsonValue]

    def roots(self) -> Iterator[tuple[str, Direction]]:
        """Yield what a comparison begins with."""
        yield from ((name, Direction.TAKES) for name in (*self.commands, *self.notices, Envelope.__name__))
        given = (*self.commands.values(), *self.events.values(), Failure.__name__, Handled.__name__)
        yield from ((name, Direction.GIVES) for name in given)

    def as_json(self) -> str:
        """Return the file's text."""
        return json.dumps(self.model_dump(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def spoken() -> Promised:
    """Return what the contracts say now."""
    commands = {command: command.reply_type() for command in all_of(Command)}
    notices = all_of(Notice)
    told: list[type[Message]] = [*EVENTS.values(), Envelope, Failure, Handled]
    models: list[type[Message]] = [*commands, *commands.values(), *notices, *told]
    return Promised(
        version=CONTRACT_VERSION,
        commands={command.__name__: reply.__name__ for command, reply in commands.items()},
        notices=[notice.__name__ for notice in notices],
        events={type: event.__name__ for type, event in EVENTS.items()},
        failures=sorted(ERRORS),
        shapes={name: plain(shape) for name, shape in shapes_of(models).items()},
    )


def promised(version: int, versions: Path = VERSIONS) -> Promised | None:
    """Return what a version promises; None for one that was never written down."""
    file = versions / f"{version}.json"
    return Promised.model_validate_json(file.read_text()) if file.exists() else None


def changes(old: Promised, new: Promised) -> list[str]:
    """Return what breaks the promise, each a sentence that begins with the place."""
    return [
        *_gone("command", old.commands, new.commands),
        *_gone("notice", dict.fromkeys(old.notices, ""), dict.fromkeys(new.notices, "")),
        *_gone("event", old.events, new.events),
        *_gone("failure", dict.fromkeys(old.failures, ""), dict.fromkeys(new.failures, "")),
        *(
            f"{name}: is answered with {new.commands[name]} now, it was {reply}"
            for name, reply in old.commands.items()
            if new.commands.get(name, reply) != reply
        ),
        *broken(Shapes(old.shapes), Shapes(new.shapes), _still(old, new)),
    ]


def extend(versions: Path = VERSIONS, now: Promised | None = None) -> Path:
    """Write down what is spoken now as what its version promises. Raises Incompatible; then nothing is written."""
    now = now or spoken()
    old = promised(now.version, versions)
    if old is not None and (found := changes(old, now)):
        listed = "\n".join(f"  {change}" for change in found)
        raise Incompatible(f"contract version {now.version} promises otherwise:\n{listed}\n{_WHAT_TO_DO}")
    file = versions / f"{now.version}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(now.as_json())
    return file


def _gone(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return [f"{name}: this {what} is gone" for name in old if name not in new]


def _still(old: Promised, new: Promised) -> list[tuple[str, Direction]]:
    """Return the roots that both have; a reply whose command went with it is not said to be gone a second time."""
    there = {*new.roots()}
    return [root for root in old.roots() if root in there]
