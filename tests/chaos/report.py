"""What a run showed, for people to read and for `docs/reliability.md`."""

from statistics import median

from rich.console import Console
from rich.table import Table

from tests.chaos.run import Outcome


def show(outcome: Outcome, console: Console) -> None:
    """Print the table of faults, the figures and everything that was wrong."""
    table = Table("fault", "times", "median", "p95", "worst", box=None, padding=(0, 2))
    for column in table.columns[1:]:
        column.justify = "right"
    for kind in sorted(outcome.kinds):
        times = sorted(cost.recovered or 0.0 for cost in outcome.costs if cost.kind == kind)
        figures = (median(times), times[int(0.95 * (len(times) - 1) + 0.5)], times[-1])
        table.add_row(kind, str(len(times)), *(f"{seconds:.1f} s" for seconds in figures))
    console.print(table)
    console.print(
        f"\nseed {outcome.seed}: {len(outcome.costs)} faults of {len(outcome.kinds)} kinds in {outcome.seconds:.0f} s; "
        f"{outcome.people} people in {outcome.meetings} meetings, {outcome.calls} finished calls "
        f"({outcome.attempts} requests), {outcome.frames} frames decoded",
        highlight=False,
    )
    for name, (was, now) in outcome.weights.items():
        console.print(f"{name:16} held {was}\n{'':16} at last {now}", highlight=False, soft_wrap=True)
    for wrong in outcome.wrong:
        console.print(f"[red]wrong[/]: {wrong}", highlight=False, soft_wrap=True)
    console.print("[red]something was wrong[/]" if outcome.wrong else "[green]every invariant held[/]")
