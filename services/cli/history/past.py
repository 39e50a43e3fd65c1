"""Reading a meeting's log up to an instant, and what it says of the meeting then.

The log is read as one snapshot, from the state that is kept of its forgotten beginning. An event counts from its own time on: times
in a log never go back, for they are taken under the meeting's lock.
"""

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg

from services.cli import store
from services.cli.moments import shown
from services.cli.stack.errors import CannotRun
from services.kendra.meeting import Meeting, event, fold, from_json


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the log. `to` is who was told, nobody for all."""

    sequence: int
    at: datetime
    epoch: int
    type: str
    to: str | None
    body: str


@dataclass(frozen=True, slots=True)
class Past:
    """A meeting as it was at an instant, what happened just before (the last one made it so) and just after."""

    tenant: str
    meeting_id: str
    at: datetime
    meeting: Meeting
    before: tuple[Entry, ...]
    after: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class _Log:
    """Where a log can be read from: the state as of the event before, and when that was."""

    tenant: str
    state: Meeting
    since: datetime | None


def read(
    connection: psycopg.Connection, meeting_id: str, at: datetime | None, *, tenant: str | None = None, around: int = 5
) -> Past:
    """Return the meeting as it was `at` (None: as it is), with up to `around` events before and after.

    Raises CannotRun when there is no such meeting, when several tenants have one, and when the log does not reach back so far.
    """
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with connection.transaction():
        log = _found(connection, meeting_id, tenant)
        if at is not None and log.since is not None and at < log.since:
            raise CannotRun(
                f"the log of {meeting_id} begins at {shown(log.since)}: what was before is forgotten (DOORDARSHAN_EVENTS_KEPT)"
            )
        return _read(connection, meeting_id, log, at, around)


def _found(connection: psycopg.Connection, meeting_id: str, tenant: str | None) -> _Log:
    rows = connection.execute(store.FIND_LOG, {"meeting": meeting_id, "tenant": tenant}).fetchall()
    if not rows:
        raise CannotRun(f"there is no meeting {meeting_id}: it never was, or it ended long ago and is forgotten")
    if len(rows) > 1:
        raise CannotRun(
            f"several tenants have a meeting {meeting_id}: say --tenant {' or '.join(row[0] for row in rows)}"
        )
    owner, base, _, sequence, since, state = rows[0]
    if state is None and base > 0:
        raise CannotRun(f"the log of {meeting_id} has lost its beginning")
    return _Log(owner, Meeting(sequence=base) if state is None else replace(from_json(state), sequence=sequence), since)


def _read(connection: psycopg.Connection, meeting_id: str, log: _Log, at: datetime | None, around: int) -> Past:
    meeting, before, after = log.state, deque[Entry](maxlen=around), list[Entry]()
    wanted = {"tenant": log.tenant, "meeting": meeting_id, "after": log.state.sequence}
    with connection.cursor("log") as cursor:
        for row in cursor.execute(store.READ_LOG, wanted):
            entry = Entry(*row)
            if after or (at is not None and entry.at > at):
                after.append(entry)
                if len(after) >= around:
                    break
            else:
                meeting = fold(meeting, [(entry.sequence, event(entry.type, entry.body))])
                before.append(entry)
    if meeting.sequence == 0:
        begins = f": it begins at {shown(after[0].at)}" if after else ""
        raise CannotRun(f"there was no meeting {meeting_id} yet{begins}")
    then = at or max((entry.at for entry in before), default=log.since)
    assert then is not None, "a log without a kept beginning has an event"
    return Past(log.tenant, meeting_id, then, meeting, tuple(before), tuple(after))
