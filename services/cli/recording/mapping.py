"""What is called otherwise in the other deployment: ids that servers gave, seats and epochs. One mapping a meeting. Pure.

A name is learnt when a recorded reply introduces it, from the reply that came this time. What a replay never made keeps its recorded
name, and is not found there: a difference that is told.
"""

import re
from collections.abc import Mapping as Names

from pydantic import JsonValue

from contracts.actor import Actor
from contracts.ids import Epoch, Seat
from services.cli.recording.plan import Expected

_INTRODUCES: Names[str, tuple[str, ...]] = {
    "MeetingCreated": ("routerId",),
    "MeetingJoined": ("routerId",),
    "RouterAllocated": ("routerId",),
    "RouterCapabilities": ("routerId",),
    "TransportRecreated": ("id",),
    "ProducerCreated": ("id",),
    "ConsumerCreated": ("id",),
}
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:-[0-9]+)?")
"""What a media server's ids look like, wherever they stand; those of some versions end with the epoch."""


class Mapping:
    """Recorded names to this deployment's."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._seats: dict[int, int] = {}
        self._epochs_apart: int | None = None

    def learn(self, expected: Expected, answered: Expected) -> None:
        """Learn from a recorded reply and the one that came. A name that is known keeps its meaning."""
        was, now = expected.body, answered.body
        if not isinstance(was, dict) or not isinstance(now, dict):
            return
        for name in _INTRODUCES.get(expected.type, ()):
            old, new = was.get(name), now.get(name)
            if isinstance(old, str) and isinstance(new, str):
                self._ids.setdefault(old, new)
        if expected.type == answered.type == "MeetingJoined":
            self._learn_seat(was.get("seat"), now.get("seat"))
        if expected.type == answered.type == "MeetingCreated":
            self._learn_epoch(was.get("epoch"), now.get("epoch"))

    def _learn_seat(self, was: JsonValue, now: JsonValue) -> None:
        if isinstance(was, int) and isinstance(now, int):
            self._seats.setdefault(was, now)

    def _learn_epoch(self, was: JsonValue, now: JsonValue) -> None:
        if self._epochs_apart is None and isinstance(was, int) and isinstance(now, int):
            self._epochs_apart = now - was

    def id(self, recorded: str) -> str:
        """Return a text with every id in it replaced, alone or within a longer text such as a URL."""
        if recorded in self._ids:
            return self._ids[recorded]
        return _ID.sub(lambda found: self._ids.get(found.group(), found.group()), recorded)

    def epoch(self, recorded: Epoch) -> Epoch:
        """Return the epoch that stands for a recorded one: they are as far apart as those at the creation."""
        return Epoch(recorded + (self._epochs_apart or 0))

    def seat(self, recorded: Seat) -> Seat:
        """Return the seat that stands for a recorded one."""
        return Seat(self._seats.get(recorded, recorded))

    def below(self, recorded: int) -> int:
        """Return the bound that stands for a recorded one: a seat, or the number after it."""
        if recorded in self._seats:
            return self._seats[recorded]
        return self._seats[recorded - 1] + 1 if recorded - 1 in self._seats else recorded

    def actor(self, recorded: Actor) -> Actor:
        """Return who asks, in the seat that they have here."""
        return recorded if recorded.seat is None else recorded.model_copy(update={"seat": self.seat(recorded.seat)})

    def body(self, recorded: JsonValue, *, name: str = "") -> JsonValue:
        """Return a command's body in this deployment's names."""
        if isinstance(recorded, dict):
            return {key: self.body(value, name=key) for key, value in recorded.items()}
        if isinstance(recorded, list):
            return [self.body(value) for value in recorded]
        if isinstance(recorded, str):
            return self.id(recorded)
        if name == "below" and isinstance(recorded, int):
            return self.below(recorded)
        return recorded
