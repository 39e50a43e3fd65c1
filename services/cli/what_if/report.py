"""A comparison for people, as a table, and for programs, as JSON."""

import json
from datetime import datetime

from pydantic import JsonValue
from rich.console import Console
from rich.table import Column, Table

from services.cli.what_if.course import Load, Summary
from services.cli.what_if.simulate import Comparison, Difference

_SHOWN = 20
_Json = dict[str, JsonValue]


def as_json(comparison: Comparison) -> str:
    """Return everything as one JSON object, camelCase."""
    return json.dumps(
        {
            "begun": _time(comparison.begun),
            "ended": _time(comparison.ended),
            "decisions": comparison.decisions,
            "happened": _course(comparison.happened),
            "policy": _course(comparison.policy),
            "differences": [_difference(one) for one in comparison.differences],
        },
        indent=1,
    )


def show(comparison: Comparison, console: Console, *, ranked: bool) -> None:
    """Print both courses side by side, then what would have been elsewhere."""
    if comparison.begun is None or comparison.ended is None:
        console.print("nothing was placed in that time")
        return
    console.print(
        f"{comparison.decisions} decisions from {comparison.begun:%Y-%m-%d %H:%M:%S} to {comparison.ended:%Y-%m-%d %H:%M:%S} UTC",
        highlight=False,
    )
    console.print(_side_by_side(comparison.happened, comparison.policy))
    if not comparison.differences:
        console.print("the policy would have placed every meeting where it was")
        return
    console.print(f"{len(comparison.differences)} decisions would have put a meeting elsewhere", highlight=False)
    console.print(_elsewhere(comparison.differences[:_SHOWN]))
    if len(comparison.differences) > _SHOWN:
        console.print(f"and {len(comparison.differences) - _SHOWN} more (--json has all)", highlight=False)
    if not ranked:
        console.print("a recording has no load between two listings of the servers: what it shows is about bookings")


def _side_by_side(happened: Summary, policy: Summary) -> Table:
    table = _table("", Column("happened", justify="right"), Column("policy", justify="right"))
    for name, before, after in (
        ("meetings placed", happened.placed, policy.placed),
        ("meetings moved", happened.moved, policy.moved),
        ("refusals", happened.refused, policy.refused),
    ):
        table.add_row(name, str(before), str(after))
    table.add_row("peak of all servers", f"{happened.peak:.1%}", f"{policy.peak:.1%}")
    ours = {load.server: load for load in policy.servers}
    for load in happened.servers:
        table.add_row(f"{load.server}: peak", _peak(load), _peak(ours[load.server]))
        table.add_row(f"{load.server}: meetings", str(load.placed), str(ours[load.server].placed))
    return table


def _elsewhere(differences: tuple[Difference, ...]) -> Table:
    table = _table("at", "tenant", "meeting", "happened", "policy")
    for one in differences:
        where = (one.happened or "nowhere", one.policy or "nowhere")
        table.add_row(f"{one.at:%Y-%m-%d %H:%M:%S}", one.key.tenant, one.key.meeting, *where)
    return table


def _table(*columns: str | Column) -> Table:
    return Table(*columns, box=None, padding=(0, 1))


def _peak(load: Load) -> str:
    return f"{load.peak:.1%} ({load.peak_booked} of {load.capacity})"


def _course(summary: Summary) -> _Json:
    return {
        "placed": summary.placed,
        "moved": summary.moved,
        "refused": summary.refused,
        "peak": round(summary.peak, 4),
        "peakAt": _time(summary.peak_at),
        "servers": [
            {
                "mediaServerId": load.server,
                "placed": load.placed,
                "peakBooked": load.peak_booked,
                "capacity": load.capacity,
                "peak": round(load.peak, 4),
            }
            for load in summary.servers
        ],
    }


def _difference(one: Difference) -> _Json:
    return {
        "at": _time(one.at),
        "tenant": one.key.tenant,
        "meetingId": one.key.meeting,
        "happened": one.happened,
        "policy": one.policy,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
