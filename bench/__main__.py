"""`make bench`: measure, print a table, write `.run/bench.json` (a list of {name, value, unit, goal, note})."""

import argparse
import asyncio
import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from bench.bus import measure_bus
from bench.client import Client
from bench.disk import measure_disk
from bench.events import measure_events
from bench.flows import measure_flows, measure_joins
from bench.measure import Measure
from bench.plane import ROWS, measure_plane
from bench.system import KEY, SECRET, measured_system
from services.cli.stack.rundir import PROJECT
from sfu.worker import default_plane

PARTS = ("disk", "bus", "flows", "joins", "events", "plane")


async def measure(parts: list[str], plane: str, rows: list[str], quick: bool, console: Console) -> list[Measure]:
    """Take the measurements asked for, one after the other, so that none disturbs another."""
    found: list[Measure] = []
    if set(parts) - {"plane"}:
        with console.status("starting a durable system"):
            async with measured_system() as system:
                client = Client(system.url, KEY, SECRET)
                for part in parts:
                    console.log(f"measuring {part}")
                    match part:
                        case "disk":
                            found += measure_disk(system.folder)
                        case "bus":
                            found += await measure_bus(system.amqp)
                        case "flows":
                            found += await measure_flows(client)
                        case "joins":
                            found += await measure_joins(client, system.pids)
                        case "events":
                            found += await measure_events(client, system.postgres)
                await client.close()
    if "plane" in parts:
        found += await measure_plane(plane, rows, quick=quick, say=console.log)
    return found


def show(measures: list[Measure], console: Console) -> None:
    """Print the table."""
    table = Table("what", "value", "unit", "goal", "met", "note")
    table.columns[1].justify = table.columns[3].justify = "right"
    for one in measures:
        met = {True: "[green]yes", False: "[red]no", None: ""}[one.met]
        table.add_row(
            one.name, f"{one.value:.3g}", one.unit, "" if one.goal is None else f"{one.goal:g}", met, one.note
        )
    console.print(table)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--plane", default=default_plane(), help="which plane is measured: native or reference")
    parser.add_argument(
        "--rows", default="", help=f"of the plane's, with commas: {', '.join(ROWS)}; all but the long ones by default"
    )
    parser.add_argument("--quick", action="store_true", help="short intervals, few repetitions: for development")
    given = parser.parse_args()
    parts = given.parts or list(PARTS)
    rows = [row for row in given.rows.split(",") if row]
    unknown = set(parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if set(rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(set(rows) - set(ROWS)))}")
    console = Console()
    measures = asyncio.run(measure(parts, given.plane, rows, given.quick, console))
    show(measures, console)
    out = PROJECT / ".run" / "bench.json"
    table = [asdict(one) for one in measures]
    out.write_text(json.dumps(table, indent=1))
    console.print(f"written to {out}", style="dim")


if __name__ == "__main__":
    main()
