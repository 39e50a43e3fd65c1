"""A history out of a cluster's database: the decisions that are kept, and the meetings' logs."""

from datetime import UTC, datetime

import psycopg

from contracts.details import Decision
from contracts.ids import MediaServerId, MeetingId, TenantId
from services.cli.store import DECISIONS_SINCE, ENDS_SINCE, PLACED_BEFORE
from services.cli.what_if.history import Decided, Ended, History, Key, Lives, Step

_EVER = datetime.min.replace(tzinfo=UTC)


def read(connection: psycopg.Connection, since: datetime | None) -> History:
    """Return what happened since then; without a time, everything that is kept. One snapshot."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    when = {"since": since or _EVER}
    placed = connection.execute(PLACED_BEFORE, when).fetchall()
    begins = {_key(row): Lives(MediaServerId(row[2]), row[3]) for row in placed if row[2] is not None}
    steps: list[Step] = [
        Decided(row[2], _key(row), Decision.model_validate(row[3]))
        for row in connection.execute(DECISIONS_SINCE, when).fetchall()
    ]
    steps += [Ended(row[2], _key(row)) for row in connection.execute(ENDS_SINCE, when).fetchall()]
    return History(begins, tuple(sorted(steps, key=lambda step: step.at)), ranked=True)


def _key(row: tuple[str, ...]) -> Key:
    return Key(TenantId(row[0]), MeetingId(row[1]))
