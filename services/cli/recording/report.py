"""A replay's outcome, for people and as JSON."""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue
from rich.console import Console
from rich.text import Text

from services.cli.recording.difference import Difference
from services.cli.recording.file import Recording
from services.cli.recording.plan import Plan
from services.cli.recording.replaying import LineOutcome, StepOutcome

_LONGEST = 200
_MOST_SHOWN = 10
"""Replies of one meeting: what differs first is the cause of most that follow."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One recording, replayed."""

    recording: Recording
    plan: Plan
    lines: list[LineOutcome]
    holes: list[str]
    seconds: float

    @property
    def same(self) -> bool:
        """Whether everything that was compared came out the same."""
        return all(line.same for line in self.lines)

    @property
    def sent(self) -> int:
        """How many commands were sent."""
        return sum(line.sent for line in self.lines)


def show(console: Console, replayed: Replayed) -> None:
    """Print what was sent, what was left out, and every difference."""
    lines = replayed.lines
    _line(
        console, replayed.recording.path, f": {replayed.sent} commands, {len(lines)} meetings, {replayed.seconds:.1f} s"
    )
    for hole in replayed.holes:
        _line(console, "  hole: ", hole, style="yellow")
    for why, records in replayed.plan.left_out.items():
        _line(console, f"  left out: {len(records)} {why}", style="dim")
    for outcome in lines:
        _show_line(console, outcome)
    replies = sum(len(line.different) for line in lines)
    ends = sum(bool(line.end) for line in lines)
    refused = sum(line.refused is not None for line in lines)
    told = [f"{replies} replies differ"] * bool(replies) + [f"{ends} end states differ"] * bool(ends)
    told += [f"{refused} meetings were not replayed"] * bool(refused)
    _line(console, "  ", ", ".join(told) or "same", style="bold red" if told else "bold green")


def _show_line(console: Console, outcome: LineOutcome) -> None:
    name = "/".join(outcome.key)
    if outcome.refused is not None:
        _line(console, f"  {name}: not replayed: {outcome.refused}", style="red")
        return
    if outcome.before:
        _line(
            console,
            f"  {name}: carried out here before; nothing is done twice, and only the end state is compared",
            style="dim",
        )
    if not outcome.end_known:
        _line(console, f"  {name}: the recording does not say what it was in the end", style="dim")
    for different in outcome.different[:_MOST_SHOWN]:
        step = different.step
        _line(console, f"  {name} #{step.number} {step.name}, after {step.begun:.3f} s")
        _show_differences(console, different.differences)
    more = len(outcome.different) - _MOST_SHOWN
    if more > 0:
        _line(console, f"  {name}: {more} more replies differ; --json has all", style="dim")
    if outcome.end:
        _line(console, f"  {name} in the end")
        _show_differences(console, outcome.end)


def _show_differences(console: Console, found: list[Difference]) -> None:
    for one in found:
        console.print(
            Text.assemble(f"      {one.path}  ", (_short(one.recorded), "red"), " → ", (_short(one.replayed), "green")),
            soft_wrap=True,
        )


def _short(value: JsonValue) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _line(console: Console, *parts: str | Path, style: str = "") -> None:
    console.print(Text("".join(map(str, parts)), style=style), soft_wrap=True)


def as_json(replayed: Replayed) -> JsonValue:
    """Return the same as an object."""
    return {
        "file": str(replayed.recording.path),
        "same": replayed.same,
        "commands": replayed.sent,
        "seconds": round(replayed.seconds, 3),
        "holes": [*replayed.holes],
        "leftOut": {why.name.lower(): len(records) for why, records in replayed.plan.left_out.items()},
        "meetings": [_meeting(line) for line in replayed.lines],
    }


def _meeting(line: LineOutcome) -> JsonValue:
    return {
        "tenant": line.key[0],
        "meeting": line.key[1],
        "commands": line.sent,
        "same": line.same,
        "before": line.before,
        "refused": line.refused,
        "replies": [_reply(one) for one in line.different],
        "end": _differences(line.end) if line.end_known else None,
    }


def _reply(outcome: StepOutcome) -> JsonValue:
    envelope = outcome.step.record.envelope
    return {
        "number": outcome.step.number,
        "command": envelope.type,
        "commandId": str(envelope.command_id),
        "participant": envelope.actor.participant,
        "differences": _differences(outcome.differences),
    }


def _differences(found: list[Difference]) -> JsonValue:
    return [{"path": one.path, "recorded": one.recorded, "replayed": one.replayed} for one in found]
