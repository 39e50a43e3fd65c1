"""`doordarshan explain --policy FILE`: read a history, place its meetings again, show both."""

from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from services.cli.cluster import cluster_database
from services.cli.moments import moment
from services.cli.recording.file import read as read_recording
from services.cli.stack.errors import CannotRun
from services.cli.what_if import from_database, from_recording
from services.cli.what_if.history import History
from services.cli.what_if.report import as_json, show
from services.cli.what_if.simulate import simulate
from services.kendra.policy import BadPolicy, load


def what_if(policy: Path, since: str | None, recording: Path | None, capacity: int | None, *, json: bool) -> None:
    """Show what a policy would have done. Raises CannotRun with what is wrong."""
    try:
        rules = load(policy)
    except BadPolicy as wrong:
        raise CannotRun(str(wrong)) from None
    begins = None if since is None else moment(since, datetime.now(UTC))
    history = _history(begins, recording, capacity)
    comparison = simulate(history, rules)
    if json:
        print(as_json(comparison))
    else:
        show(comparison, Console(), ranked=history.ranked)


def _history(since: datetime | None, recording: Path | None, capacity: int | None) -> History:
    if recording is None:
        with cluster_database() as connection:
            return from_database.read(connection, since)
    records = read_recording(recording).handled
    return from_recording.read((one for one in records if since is None or one.at >= since), capacity)
