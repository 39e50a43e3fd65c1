"""`doordarshan status`: what runs on this machine, what is ready, each media server's load, and what the database keeps."""

import asyncio
import os
import time
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table

from services.cli import store
from services.cli.sizes import table_sizes
from services.cli.stack.errors import CannotRun
from services.cli.stack.private import POSTGRES_URL
from services.cli.stack.process import Identity
from services.cli.stack.readiness import status_of
from services.cli.stack.rundir import RunDirectory, Started


def status() -> None:
    """Show processes, media servers and what the database keeps; exit 1 when something is not ready.

    With DOORDARSHAN_POSTGRES_URL it is that deployment's database; its processes are elsewhere and not asked.
    """
    console = Console(highlight=False)
    run = RunDirectory.of_up()
    holder, (started, facts) = run.holder(), run.state()
    elsewhere = os.environ.get(POSTGRES_URL)
    if elsewhere and (holder is None or elsewhere != facts.get("postgres")):
        if not _print_cluster(console, elsewhere):
            raise SystemExit(1)
        return
    if holder is None:
        raise CannotRun(f"nothing runs here; `make up` starts it, {POSTGRES_URL} names a deployment elsewhere")
    console.print(f"up is process {holder}" + (f", {facts['url']}" if "url" in facts else ", still starting"))
    answers = asyncio.run(_answers(started))
    console.print(_process_table(started, answers))
    if "postgres" in facts:
        _print_cluster(console, facts["postgres"])
    if not all(answers):
        raise SystemExit(1)


async def _answers(started: list[Started]) -> list[bool]:
    return list(await asyncio.gather(*(_is_ready(process) for process in started)))


async def _is_ready(started: Started) -> bool:
    alive = Identity(started["pid"], started["started"]).process() is not None
    return alive and (started["ready"] is None or (await status_of(started["ready"]))[0] == 200)


def _process_table(started: list[Started], answers: list[bool]) -> Table:
    table = Table("process", "pid", "up for", "ready", box=None, pad_edge=False)
    for process, ready in zip(started, answers, strict=True):
        age = f"{time.time() - process['started']:.0f} s"
        table.add_row(process["name"], str(process["pid"]), age, "[green]yes[/]" if ready else "[red]no[/]")
    return table


def _print_cluster(console: Console, postgres: str) -> bool:
    """Print what the database says; return whether it said anything."""
    try:
        with psycopg.connect(postgres, connect_timeout=3, row_factory=dict_row) as connection:
            servers = connection.execute(store.LIST_SERVERS).fetchall()
            counts = connection.execute(store.COUNT_MEETINGS).fetchone()
        with psycopg.connect(postgres, connect_timeout=3) as connection:
            sizes = table_sizes(connection, datetime.now(UTC))
    except psycopg.Error as error:
        console.print(f"[red]the database does not answer[/]: {' '.join(str(error).split())}")
        return False
    console.print(_server_table(servers))
    if counts is not None:
        console.print(f"{counts['meetings']} meetings with {counts['participants']} participants\n")
    console.print(sizes)
    return True


def _server_table(servers: list[dict[str, Any]]) -> Table:
    table = Table("media server", "address", "lease", "booked", "streams", "cpu", "meetings", box=None, pad_edge=False)
    for row in servers:
        lease = "[yellow]draining[/]" if row["draining"] else "[green]valid[/]" if row["alive"] else "[red]over[/]"
        booked = f"{row['booked']} of {row['capacity']}"
        table.add_row(
            row["server"], row["address"], lease, booked, str(row["streams"]), f"{row['cpu']:.0%}", str(row["meetings"])
        )
    return table
