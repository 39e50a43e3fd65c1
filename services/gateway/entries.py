"""What kendra writes to Redis, read: entries of a meeting's stream, and live events on its channel. What cannot be read is left out."""

import json
from collections.abc import Iterator

import structlog
from pydantic import ValidationError

from contracts.ids import MeetingId, ParticipantId, TenantId
from contracts.live import LiveEvent
from services.gateway.following import OVER_FOR_THE_SEAT, Entry, LiveEntry, framed

log = structlog.stdlib.get_logger("gateway")

Fields = dict[str, str]
Rows = list[tuple[str, Fields]]


def sequence_of(row: str) -> int:
    """Return the sequence that an entry's id stands for."""
    return int(row.partition("-")[0])


def entries_of(rows: Rows) -> Iterator[Entry]:
    """Yield what can be read; what cannot is missing to its followers, who are told of the gap."""
    for row, fields in rows:
        try:
            yield _entry(row, fields)
        except (KeyError, ValueError, AttributeError):
            log.error("an event cannot be read", entry=row)


def _entry(row: str, fields: Fields) -> Entry:
    sequence, name, body = sequence_of(row), fields["type"], fields["body"]
    about = json.loads(body).get("participantId") if name in OVER_FOR_THE_SEAT else None
    to = ParticipantId(fields["to"]) if fields.get("to") else None
    return Entry(sequence, name, to, about, framed(name, body, sequence))


def live_entries_of(data: str) -> list[LiveEntry]:
    """Return the live event that was published, if it can be read."""
    try:
        event = LiveEvent.model_validate_json(data)
    except ValidationError:
        log.warning("a live event does not parse")
        return []
    return [LiveEntry(event.to, framed(event.type, json.dumps(event.body)))]


def live_channel(tenant: TenantId, meeting: MeetingId) -> str:
    """Return the channel of a meeting's live events, without the deployment's prefix."""
    return f"live:{{{tenant}:{meeting}}}"
