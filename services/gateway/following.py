"""What one follower of a meeting is sent: gaps, filtering and endings, decided without I/O.

* `gap` says that events up to its id are missing here; the client fetches the meeting. It is judged over every event of the
  log, before those meant for others are left out.
* What is not above what was sent is left out: repeating a page or refilling the stream is harmless.
* A seat ends with the first event after its own join that says so; what happened before it took the seat is history.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi.sse import format_sse_event

from contracts import events
from contracts.ids import ParticipantId, Seat


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the log, parsed and framed once for all followers. `about` is the participant that its body names."""

    sequence: int
    type: str
    to: ParticipantId | None
    about: ParticipantId | None
    frame: bytes


@dataclass(frozen=True, slots=True)
class LiveEntry:
    """An event without a place in the log."""

    to: ParticipantId | None
    frame: bytes


@dataclass(frozen=True, slots=True)
class StreamState:
    """What Redis has of the log: the last sequence ever added (what is trimmed counts)."""

    last: int


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who follows. An admin without a seat sees what is meant for all and stays to the meeting's end."""

    participant: ParticipantId | None = None
    seat: Seat | None = None


OVER_FOR_THE_SEAT = {events.ParticipantLeftEvent.type, events.ParticipantReplacedEvent.type}


class Follower:
    """One client's place in the log. `head` is the newest event when it began, `seen` the last it knows (None: only new ones)."""

    def __init__(self, viewer: Viewer, *, seen: int | None, head: int) -> None:
        self._viewer, self._head = viewer, head
        self.previous = head if seen is None else seen
        self.over = False

    def begin(self, state: StreamState | None) -> Iterator[bytes]:
        """Yield a gap if the stream cannot lead on from what was seen."""
        nothing_follows = state is None or state.last <= self.previous < self._head
        if state is None or state.last < self.previous or nothing_follows:
            self.previous = self._head
            yield gap(self._head)

    def take(self, entry: Entry | LiveEntry) -> Iterator[bytes]:
        """Yield what the client is sent for an entry; sets `over` when nothing may follow."""
        if isinstance(entry, LiveEntry):
            if entry.to in {None, self._viewer.participant}:
                yield entry.frame
            return
        if self.over or entry.sequence <= self.previous:
            return
        if entry.sequence != self.previous + 1:
            yield gap(entry.sequence - 1)
        self.previous = entry.sequence
        if entry.to in {None, self._viewer.participant}:
            yield entry.frame
        self.over = self._ends(entry)

    def _ends(self, entry: Entry) -> bool:
        if entry.type == events.MeetingEndedEvent.type:
            return entry.sequence >= self._head
        seat = self._viewer.seat
        mine = seat is not None and entry.about == self._viewer.participant and entry.sequence > seat
        return mine and entry.type in OVER_FOR_THE_SEAT


def gap(up_to: int) -> bytes:
    """Return the frame that says: events up to this id are missing here."""
    return framed("gap", "{}", up_to)


def framed(name: str, body: str, sequence: int | None = None) -> bytes:
    """Return one server-sent event; without a sequence it has no id."""
    return format_sse_event(event=name, data_str=body, id=None if sequence is None else str(sequence))
