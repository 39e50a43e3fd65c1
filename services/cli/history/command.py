"""The command."""

from datetime import UTC, datetime

from rich.console import Console

from services.cli.cluster import checked_id, cluster_database
from services.cli.history.past import read
from services.cli.history.show import as_json, show
from services.cli.moments import moment
from services.cli.stack.errors import CannotRun

_MOST_AROUND = 1000


def history(
    meeting: str, *, at: str | None = None, tenant: str | None = None, around: int = 5, json: bool = False
) -> None:
    """Show a meeting as it was at an instant: where it lived, who sat there, what they sent, and what happened around it.

    Reads the log in the database (DOORDARSHAN_POSTGRES_URL, or the `up`'s), as far back as it is kept.

    Parameters
    ----------
    meeting
        The meeting's id.
    at
        The instant: how long ago (10m, 2h ago, 7d), or a time (2026-11-22T12:00:05, UTC unless it says otherwise). By default now.
    tenant
        Whose meeting, when several tenants have one of that id.
    around
        How many events before and after are shown.
    json
        Print one JSON object.
    """
    if not 0 < around <= _MOST_AROUND:
        raise CannotRun(f"--around is a number from 1 to {_MOST_AROUND}")
    when = None if at is None else moment(at, datetime.now(UTC))
    with cluster_database() as connection:
        past = read(
            connection,
            checked_id("meeting", meeting),
            when,
            tenant=None if tenant is None else checked_id("tenant", tenant),
            around=around,
        )
    if json:
        print(as_json(past))
    else:
        show(past, Console())
