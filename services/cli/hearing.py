"""What a headless participant has to tell: who came and went, whom it hears and sees, since when no more, and again after a move.

Nothing here waits. Whoever asks for news says what time it is.
"""

from collections.abc import Iterator

from services.cli.participant.lasting import LastingParticipant

QUIET = 1.0
"""Seconds without a decoded frame after which somebody is not heard any more."""
_SENSES = {"audio": "hears", "video": "sees"}

Source = tuple[str, str]
"""A participant, and a kind of media."""


class Hearing:
    """Tells what one participant notices, each thing once. Times are monotonic."""

    def __init__(self, one: LastingParticipant) -> None:
        self._one = one
        self._events = self._moves = 0
        self._carried: dict[Source, str] = {}
        self._since: dict[Source, float] = {}
        self._silent: set[Source] = set()

    def news(self, now: float) -> Iterator[str]:
        """Tell what has happened since it was last asked."""
        yield from self._comings()
        yield from self._moved()
        yield from self._fallen_silent(now)
        yield from self._heard(now)

    def _comings(self) -> Iterator[str]:
        told, self._events = self._one.events[self._events :], len(self._one.events)
        for event in told:
            who = str(event.body.get("participantId"))
            if who == self._one.name:
                continue
            if event.type == "ParticipantJoined":
                yield f"{who} came"
            elif event.type == "ParticipantLeft":
                self._forget(who)
                yield f"{who} left"

    def _moved(self) -> Iterator[str]:
        told, self._moves = self._one.moves[self._moves :], len(self._one.moves)
        for move in told:
            meanwhile = ", and goes on at the old place meanwhile" if move.kept else ""
            yield f"{self._one.meeting} moved to epoch {move.epoch}{meanwhile}"

    def _fallen_silent(self, now: float) -> Iterator[str]:
        for source in self._carried.keys() - self._silent:
            if not self._fresh(source, now):
                self._silent.add(source)
                who, kind = source
                yield f"{_SENSES[kind]} {who} no more"

    def _heard(self, now: float) -> Iterator[str]:
        for view in self._one.producers.values():
            source, got = (view.participant, view.kind), self._one.received.get(view.id)
            if got is None or not got.frames or not self._fresh(source, now):
                continue
            if self._carried.get(source) != got.consumer_id or source in self._silent:
                yield f"{_SENSES[view.kind]} {view.participant}{self._again(source)}"
                self._carried[source], self._since[source] = got.consumer_id, now
                self._silent.discard(source)

    def _again(self, source: Source) -> str:
        """Return how a source is heard: for the first time, or again, and after how long a pause if there was one."""
        if source not in self._carried:
            return ""
        who, kind = source
        pause = self._one.seen[who].longest_pause(kind, self._since[source])
        return f" again after {pause:.1f} s" if pause else " again"

    def _fresh(self, source: Source, now: float) -> bool:
        who, kind = source
        return now - self._one.seen[who].last.get(kind, 0.0) < QUIET

    def _forget(self, who: str) -> None:
        for source in [one for one in self._carried if one[0] == who]:
            self._silent.discard(source)
            del self._carried[source], self._since[source]
