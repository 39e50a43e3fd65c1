"""What happened to meetings, as far as placement is concerned: decisions and ends, in their order. Pure data."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from contracts.details import Decision
from contracts.ids import MediaServerId, MeetingId, TenantId


class Key(NamedTuple):
    """A meeting."""

    tenant: TenantId
    meeting: MeetingId


@dataclass(frozen=True, slots=True)
class Lives:
    """Where a meeting is, and what it books there."""

    server: MediaServerId
    streams: int


@dataclass(frozen=True, slots=True)
class Decided:
    """A meeting was placed, moved, or found no place (`decision.chosen` is None)."""

    at: datetime
    key: Key
    decision: Decision


@dataclass(frozen=True, slots=True)
class Ended:
    """A meeting was over; its booking was given back."""

    at: datetime
    key: Key


Step = Decided | Ended


@dataclass(frozen=True, slots=True)
class History:
    """Where meetings were when it begins, and what happened then, oldest first.

    `ranked`: the candidates of each decision stand in the order in which they were ranked, with all that it was made of.
    """

    begins: dict[Key, Lives]
    steps: tuple[Step, ...]
    ranked: bool

    def usual_length(self) -> timedelta | None:
        """Return the median of how long meetings ran that began and ended in it; None when none did."""
        return _median(_lengths(self.steps))


def _lengths(steps: Iterable[Step]) -> Iterable[timedelta]:
    began: dict[Key, datetime] = {}
    for step in steps:
        match step:
            case Decided() if step.decision.chosen is not None:
                began.setdefault(step.key, step.at)
            case Ended() if step.key in began:
                yield step.at - began.pop(step.key)


def _median(lengths: Iterable[timedelta]) -> timedelta | None:
    ordered = sorted(lengths)
    return ordered[len(ordered) // 2] if ordered else None
