"""One course of events: which meeting books what where, and the most that each server was ever booked with. Pure but for its own state."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from contracts.ids import MediaServerId
from services.cli.what_if.history import Key, Lives


@dataclass(frozen=True, slots=True)
class Load:
    """A server's fullest moment."""

    server: MediaServerId
    placed: int
    """Meetings that were placed there or moved there."""
    peak_booked: int
    capacity: int
    """What it was then."""
    peak: float


@dataclass(frozen=True, slots=True)
class Summary:
    """How a course went. Peaks are booked ÷ capacity; a refusal is a create or a move that found no place."""

    placed: int
    moved: int
    refused: int
    peak: float
    """Of all servers together."""
    peak_at: datetime | None
    servers: tuple[Load, ...]


class Course:
    """Bookings as they evolve. `elsewhere` are streams on a server that no meeting known here booked."""

    def __init__(self, begins: Mapping[Key, Lives]) -> None:
        self.places: dict[Key, Lives] = dict(begins)
        self.known: Counter[MediaServerId] = Counter()
        for lives in begins.values():
            self.known[lives.server] += lives.streams
        self.placed = self.moved = self.refused = 0
        self._arrivals: Counter[MediaServerId] = Counter()
        self._loads: dict[MediaServerId, Load] = {}
        self._peak = 0.0
        self._peak_at: datetime | None = None

    def put(self, key: Key, lives: Lives) -> None:
        """Have a meeting where it shall be: placed, or moved if it was somewhere."""
        if self.take(key) is None:
            self.placed += 1
        else:
            self.moved += 1
        self.places[key] = lives
        self.known[lives.server] += lives.streams
        self._arrivals[lives.server] += 1

    def refuse(self, key: Key) -> None:
        """Have a meeting nowhere: none of the servers could take it."""
        self.refused += 1
        self.take(key)

    def take(self, key: Key) -> Lives | None:
        """Give a meeting's booking back; return where it was."""
        was = self.places.pop(key, None)
        if was is not None:
            self.known[was.server] -= was.streams
        return was

    def measure(
        self, at: datetime, capacities: Mapping[MediaServerId, int], elsewhere: Mapping[MediaServerId, int]
    ) -> None:
        """Take note of how full the servers are now."""
        booked = {server: elsewhere.get(server, 0) + self.known[server] for server in capacities}
        for server, capacity in capacities.items():
            share = booked[server] / capacity if capacity else 0.0
            if server not in self._loads or share > self._loads[server].peak:
                self._loads[server] = Load(server, 0, booked[server], capacity, share)
        whole = sum(capacities.values())
        if whole and sum(booked.values()) / whole > self._peak:
            self._peak, self._peak_at = sum(booked.values()) / whole, at

    def summary(self) -> Summary:
        """Return how it went."""
        loads = (
            Load(one.server, self._arrivals[one.server], one.peak_booked, one.capacity, one.peak)
            for one in self._loads.values()
        )
        ordered = tuple(sorted(loads, key=lambda one: one.server))
        return Summary(self.placed, self.moved, self.refused, self._peak, self._peak_at, ordered)
