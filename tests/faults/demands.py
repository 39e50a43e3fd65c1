"""What is demanded of every flow, in parts. Each yields a line for what is not so.

`died` says whether the media server did: then what lived there is gone, and flows on it say `stale_epoch`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from json import loads
from typing import Any

from tests.faults.caller import Answer
from tests.faults.stage import Stage
from tests.truth import Seen


@dataclass(frozen=True)
class Outcome:
    """How it went: the answer that the caller got at last, and that to one more repeat when all was over.

    `found` is the meeting as a participant (the flow's `reads_as`) is told of it then.
    """

    first: Answer
    again: Answer
    died: bool
    seen: Seen
    found: dict[str, Any]


Judge = Callable[[Stage, Outcome], Iterator[str]]


def told(stage: Stage, out: Outcome, type_: str, *numbers: int, **fields: str) -> Iterator[str]:
    """Demand that an event with these fields was told so often."""
    bodies = [loads(entry.body) for entry in stage.log(out.seen) if entry.type == type_]
    found = sum(all(body.get(name) == value for name, value in fields.items()) for body in bodies)
    if found not in numbers:
        yield f"{type_} {fields} was told {found} times, not {numbers}"


def succeeded(out: Outcome) -> Iterator[str]:
    for answer in (out.first, out.again):
        if not answer.ok:
            yield f"refused: {answer}"


def same_bytes(out: Outcome) -> Iterator[str]:
    if out.first != out.again:
        yield f"answered {out.first}, then {out.again}"


def once_or_stale(out: Outcome) -> Iterator[str]:
    """Demand the same reply byte for byte, or of what died with its server: nothing but that its epoch is over."""
    if not out.died:
        yield from succeeded(out)
        yield from same_bytes(out)
        return
    if not out.first.ok and (out.first.status, out.first.code) != (409, "stale_epoch"):
        yield f"of a dead object: {out.first}"
    if (out.again.status, out.again.code) != (409, "stale_epoch"):
        yield f"again, of a dead object: {out.again}"


def how_often(out: Outcome) -> tuple[int, ...]:
    """Return how often an event may be told: what died with its server may have happened before, or not."""
    return (0, 1) if out.died else (1,)


def listed_as(stage: Stage, out: Outcome, thing: str, paused: bool) -> Iterator[str]:
    """Demand that the meeting has this one thing, paused or not; what died with its server is gone."""
    listed = out.found["producers" if thing == "producer" else "ownConsumers"]
    if not out.died and [(one["id"], one["paused"]) for one in listed] != [(stage.ids[thing], paused)]:
        yield f"listed are {listed}"
    if out.died and stage.here(out.seen, f"{thing}s"):
        yield f"the {thing} outlived its server"
