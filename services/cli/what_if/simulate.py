"""The same meetings placed again under another policy, beside what happened. Pure and deterministic.

* Bookings evolve under the policy: a server has what the policy placed there, and what no meeting of the history accounts for.
* Load is what was measured, corrected for other bookings: more of them count as bookings made since it was measured, as placement
  counts those; with fewer the measured share falls in proportion.
* A meeting moves when what moved it concerns it: its server is silent, is being drained, refused it, or lost its router. On another server
  it stays; and those that only the policy placed on a silent or draining server move when a decision saw it so.
* Where the policy ranks the servers as they were ranked, it decides as was decided: two creates at once saw what no record has.
* A drain that finds no room elsewhere leaves the meeting where it is.
* A meeting that only the policy found a place for runs as long as the others did (the median), or until it was created after all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.details import Candidate, Decision, Unfit
from contracts.ids import BootId, MediaServerId
from services.cli.what_if.course import Course, Summary
from services.cli.what_if.history import Decided, Ended, History, Key, Lives
from services.kendra.placement import Ranking, Request, Server, rank
from services.kendra.policy import Policy

_LEASE = 1.0
_NEVER = 0
"""The epoch of a decision about a meeting that did not begin."""
_OUT_OF_REACH = {Unfit.SILENT, Unfit.DRAINING}


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision after which a meeting is somewhere else than it was; None: nowhere."""

    at: datetime
    key: Key
    happened: MediaServerId | None
    policy: MediaServerId | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What happened, and what would have happened. The time is that of the first and the last step."""

    begun: datetime | None
    ended: datetime | None
    decisions: int
    happened: Summary
    policy: Summary
    differences: tuple[Difference, ...]


def simulate(history: History, policy: Policy) -> Comparison:
    """Return both courses of a history."""
    return _Simulation(history, policy).run()


class _Simulation:
    def __init__(self, history: History, policy: Policy) -> None:
        self._history = history
        self._policy = policy
        self._real = Course(history.begins)
        self._other = Course(history.begins)
        self._capacities: dict[MediaServerId, int] = {}
        self._elsewhere: dict[MediaServerId, int] = {}
        self._usual = history.usual_length()
        self._over: dict[Key, datetime] = {}
        """Meetings that only the policy found a place for → when they end."""
        self._differences: list[Difference] = []

    def run(self) -> Comparison:
        steps = self._history.steps
        for step in steps:
            self._end_what_is_over(step.at)
            match step:
                case Ended():
                    self._real.take(step.key)
                    self._end(step.key)
                case Decided():
                    self._decided(step)
            for course in (self._real, self._other):
                course.measure(step.at, self._capacities, self._elsewhere)
        return Comparison(
            begun=steps[0].at if steps else None,
            ended=steps[-1].at if steps else None,
            decisions=sum(isinstance(step, Decided) for step in steps),
            happened=self._real.summary(),
            policy=self._other.summary(),
            differences=tuple(self._differences),
        )

    def _decided(self, step: Decided) -> None:
        key, decision = step.key, step.decision
        was = self._real.places.get(key)
        self._look(decision)
        others_choice = self._needs_a_place(key, was, decision)
        chosen = self._choose(key, was, decision) if others_choice else self._other.places[key].server
        if decision.chosen is None:
            self._real.refuse(key)
        else:
            self._real.put(key, Lives(decision.chosen, decision.streams))
            self._over.pop(key, None)
        if others_choice:
            self._apply(key, chosen, decision, step.at)
        if chosen != decision.chosen:
            self._differences.append(Difference(step.at, key, decision.chosen, chosen))
        for displaced in list(self._displaced(was, decision)):
            self._apply(
                displaced, self._again(displaced, decision), decision, step.at, self._other.places[displaced].streams
            )

    def _look(self, decision: Decision) -> None:
        """Take note of the servers as the decision saw them."""
        self._capacities = {one.media_server_id: one.capacity for one in decision.candidates}
        for one in decision.candidates:
            self._elsewhere[one.media_server_id] = one.booked - self._real.known[one.media_server_id]

    def _needs_a_place(self, key: Key, was: Lives | None, decision: Decision) -> bool:
        """Say whether what made this decision necessary concerns the meeting where the policy has it."""
        lives = self._other.places.get(key)
        if lives is None or lives.streams != decision.streams:
            return True
        if was is None:
            return False
        return lives.server == was.server or self._out_of_reach(lives.server, decision)

    def _out_of_reach(self, server: MediaServerId, decision: Decision) -> bool:
        seen = _seen(server, decision)
        return seen is None or seen.unfit in _OUT_OF_REACH

    def _choose(self, key: Key, was: Lives | None, decision: Decision) -> MediaServerId | None:
        tried = {one.media_server_id: one.rejected or "" for one in decision.candidates if one.unfit is Unfit.TRIED}
        lives = self._other.places.get(key)
        held = (lives.server, lives.streams) if lives else None
        ranking = self._ranked(decision, Request(decision.streams, _LEASE, tried, held, self._policy))
        if lives == was and self._history.ranked and _as_it_was(ranking, decision):
            return decision.chosen
        return _best(ranking, decision, lives)

    def _again(self, key: Key, decision: Decision) -> MediaServerId | None:
        """Choose for a meeting that the decision was not about, and that must leave its server."""
        lives = self._other.places[key]
        request = Request(lives.streams, _LEASE, {}, (lives.server, lives.streams), self._policy)
        return _best(self._ranked(decision, request), decision, lives)

    def _ranked(self, decision: Decision, request: Request) -> Ranking:
        return rank([self._server(one, decision.at) for one in decision.candidates], request, decision.at)

    def _server(self, seen: Candidate, now: datetime) -> Server:
        """Return a server as it was seen, with what is booked there in the other course."""
        booked = self._elsewhere[seen.media_server_id] + self._other.known[seen.media_server_id]
        more = booked - seen.booked
        share = booked / seen.booked if more < 0 and seen.booked else 1.0
        return Server(
            name=seen.media_server_id,
            boot=BootId("-"),
            capacity=seen.capacity,
            booked=booked,
            draining=seen.unfit is Unfit.DRAINING,
            cpu=seen.cpu * share,
            egress=seen.egress * share,
            fresh=max(seen.fresh + more, 0),
            renewed_at=now - timedelta(seconds=2 * _LEASE) if seen.unfit is Unfit.SILENT else now,
        )

    def _displaced(self, was: Lives | None, decision: Decision) -> Iterator[Key]:
        """Yield the meetings that only the policy has on a server which this decision saw silent, draining or gone."""
        lost = {one.media_server_id for one in decision.candidates if one.unfit in _OUT_OF_REACH}
        if was is not None and was.server not in self._capacities:
            lost.add(was.server)
        for key, lives in sorted(self._other.places.items()):
            if lives.server in lost and self._real.places.get(key) != lives:
                yield key

    def _apply(
        self, key: Key, chosen: MediaServerId | None, decision: Decision, at: datetime, streams: int | None = None
    ) -> None:
        lives = self._other.places.get(key)
        if chosen is None:
            self._other.refuse(key)
        elif lives is None or lives.server != chosen or not _draining(chosen, decision):
            self._other.put(key, Lives(chosen, decision.streams if streams is None else streams))
        if chosen is None:
            self._over.pop(key, None)
        elif decision.epoch == _NEVER and key not in self._real.places and self._usual is not None:
            self._over.setdefault(key, at + self._usual)

    def _end(self, key: Key) -> None:
        self._other.take(key)
        self._over.pop(key, None)

    def _end_what_is_over(self, now: datetime) -> None:
        for key in sorted(key for key, when in self._over.items() if when <= now):
            self._end(key)


def _best(ranking: Ranking, decision: Decision, lives: Lives | None) -> MediaServerId | None:
    """Return who takes a meeting: without room elsewhere a draining server keeps it."""
    if ranking.best is not None:
        return ranking.best.name
    return lives.server if lives is not None and _draining(lives.server, decision) else None


def _draining(server: MediaServerId, decision: Decision) -> bool:
    seen = _seen(server, decision)
    return seen is not None and seen.unfit is Unfit.DRAINING


def _seen(server: MediaServerId, decision: Decision) -> Candidate | None:
    return next((one for one in decision.candidates if one.media_server_id == server), None)


def _as_it_was(ranking: Ranking, decision: Decision) -> bool:
    """Say whether a ranking is the decision's own: the same servers in the same order, the same of them fit."""
    ranked = [(one.server.name, one.rejection is None) for one in ranking.scored]
    return ranked == [(one.media_server_id, one.unfit is None) for one in decision.candidates]
