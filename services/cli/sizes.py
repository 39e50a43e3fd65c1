"""How large each table is, what of it is kept for how long, and how far back it goes: the part of `doordarshan status` about retention."""

import os
from collections.abc import Mapping
from datetime import datetime

import psycopg
from psycopg.rows import TupleRow
from rich.table import Column, Table

from services.cli import store
from services.cli.moments import lasting

DAY = 86_400.0
DEFAULTS: Mapping[str, float] = {
    "EVENTS_KEPT": 30 * DAY,
    "MEETINGS_KEPT": 30 * DAY,
    "PLACEMENTS_KEPT": 30 * DAY,
    "STEPS_KEPT": DAY,
    "SERVER_FORGOTTEN": DAY,
    "SERVER_SILENT": 600.0,
}
"""The services' own, for settings that this command's environment does not name."""

RETENTION: Mapping[str, tuple[str, str]] = {
    "events": ("EVENTS_KEPT", "while the meeting runs; then with it"),
    "log_bases": ("MEETINGS_KEPT", "with the meeting"),
    "event_heads": ("MEETINGS_KEPT", "with the meeting"),
    "relays": ("MEETINGS_KEPT", "with the meeting"),
    "meetings": ("MEETINGS_KEPT", "after the end"),
    "participants": ("STEPS_KEPT", "after leaving"),
    "steps": ("STEPS_KEPT", ""),
    "handled_commands": ("STEPS_KEPT", ""),
    "placements": ("PLACEMENTS_KEPT", ""),
    "bookings": ("SERVER_FORGOTTEN", "after the last of a server that was draining"),
    "media_servers": ("SERVER_SILENT", "after the last renewal, at most"),
    "workers": ("SERVER_SILENT", "with the server, at most"),
    "allocations": ("SERVER_SILENT", "with the server, at most"),
    "transports": ("SERVER_SILENT", "with the server, at most"),
    "producers": ("SERVER_SILENT", "with the server, at most"),
    "consumers": ("SERVER_SILENT", "with the server, at most"),
    "tenants": ("", "until an operator removes it"),
    "api_keys": ("", "until an operator removes it"),
}
"""Each table: the setting that says how long a row is kept, and from when on."""


def table_sizes(connection: psycopg.Connection[TupleRow], now: datetime) -> Table:
    """Return each table with its size and what is kept of it, the largest first."""
    oldest: dict[str, datetime | None] = dict(connection.execute(store.OLDEST_ROWS).fetchall())
    numbers = [Column(title, justify="right", no_wrap=True) for title in ("rows, about", "size", "oldest")]
    table = Table(Column("table", no_wrap=True), *numbers, "kept", box=None, pad_edge=False)
    for name, rows, size in connection.execute(store.TABLE_SIZES).fetchall():
        since = oldest.get(name)
        age = "" if since is None else lasting((now - since).total_seconds())
        table.add_row(name, f"{rows:,}", readable(size), age, kept(name))
    return table


def kept(table: str) -> str:
    """Return what is kept of a table. The setting is this environment's, for nobody asks the services for theirs."""
    if table not in RETENTION:
        return "?"
    setting, words = RETENTION[table]
    if not setting:
        return words
    said = os.environ.get(f"DOORDARSHAN_{setting}", "")
    seconds = float(said) if said.replace(".", "", 1).isdecimal() else DEFAULTS[setting]
    return f"{lasting(seconds)} {words} ({setting})".replace("  ", " ")


def readable(size: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    for unit, bytes in (("GB", 1 << 30), ("MB", 1 << 20)):
        if size >= bytes:
            return f"{size / bytes:.1f} {unit}"
    return f"{size / 1024:.0f} kB"
