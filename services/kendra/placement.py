"""Which media server a meeting goes to. Pure: candidates with their load, a request and the time in, a ranking with reasons out.

* A server that is draining, silent (its lease is over), too full or already tried is never picked.
* Utilization is the largest of booked ÷ capacity, CPU and egress, the measured two raised by what was booked since they were measured.
* Lowest utilization wins; among equals the one with more room, then the name.
* A policy changes what counts and who is better (`policy.py`). What is said above is the default's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from contracts.details import Candidate, Decision, Unfit
from contracts.ids import BootId, Epoch, MediaServerId
from services.kendra.policy import DEFAULT, Override, Policy, Prefer


@dataclass(frozen=True, slots=True)
class Server:
    """A media server's newest boot. Streams are counted, `cpu` and `egress` are shares of their limits (0 to 1, more when overloaded)."""

    name: MediaServerId
    boot: BootId
    capacity: int
    booked: int
    draining: bool
    cpu: float
    egress: float
    fresh: int
    """Streams booked since `cpu` and `egress` were measured; part of `booked`."""
    renewed_at: datetime

    @property
    def room(self) -> int:
        """Streams that can still be booked."""
        return self.capacity - self.booked


@dataclass(frozen=True, slots=True)
class Booking:
    """What is booked on a server as of now, under a lock."""

    server: MediaServerId
    booked: int
    capacity: int
    draining: bool


@dataclass(frozen=True, slots=True)
class Request:
    """What shall be placed: `streams` to book, and why servers that were asked already are out of the question.

    `held` of the streams are booked already by this meeting on the server named there: moving within it frees them first.
    """

    streams: int
    lease: float
    tried: Mapping[MediaServerId, str] = field(default_factory=dict)
    held: tuple[MediaServerId, int] | None = None
    policy: Policy = DEFAULT


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a server cannot be taken, for programs and for people."""

    unfit: Unfit
    reason: str


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate's score; `rejection` says why it cannot be taken."""

    server: Server
    utilization: float
    rejection: Rejection | None

    @property
    def rejected(self) -> str | None:
        """Return the reason in words."""
        return self.rejection.reason if self.rejection else None


@dataclass(frozen=True, slots=True)
class Ranking:
    """All candidates, the best first, those that cannot be taken last."""

    request: Request
    scored: tuple[Scored, ...]

    @property
    def eligible(self) -> tuple[Server, ...]:
        """Return who could take the meeting, the best first."""
        return tuple(one.server for one in self.scored if one.rejected is None)

    @property
    def best(self) -> Server | None:
        """Return who takes the meeting."""
        return next(iter(self.eligible), None)


def utilization(server: Server, policy: Policy = DEFAULT) -> float:
    """Return how used a server is, 0 to 1 with the default weights; a server without capacity is full."""
    capacity = usable(server, policy)
    if capacity <= 0:
        return 1.0
    weights, fresh = policy.weights, server.fresh / capacity
    measured = ((weights.cpu, server.cpu), (weights.egress, server.egress))
    counted = [weight * (max(share, 0.0) + fresh) for weight, share in measured]
    return max([weights.booked * (server.booked / capacity), *counted])


def usable(server: Server, policy: Policy) -> int:
    """Return how many of a server's streams the policy uses at all."""
    factor = policy.of(server.name).capacity_factor or 1.0
    return server.capacity if factor == 1.0 else int(server.capacity * factor)


def rank(servers: Sequence[Server], request: Request, now: datetime) -> Ranking:
    """Return the servers in the order in which they should be tried."""
    scored = [
        Scored(server, utilization(server, request.policy), _rejected(server, request, now)) for server in servers
    ]
    better = -1 if request.policy.prefer is Prefer.PACK else 1
    scored.sort(
        key=lambda one: (
            one.rejection is not None,
            better * one.utilization,
            -better * one.server.room,
            one.server.name,
        )
    )
    return Ranking(request, tuple(scored))


def locked(ranking: Ranking, fresh: Sequence[Booking], now: datetime) -> tuple[Ranking, Server | None]:
    """Compare again with the bookings of some servers as they are now; return the ranking and the best among just those."""
    by_name = {booking.server: booking for booking in fresh}
    servers = [_as_booked(one.server, by_name.get(one.server.name)) for one in ranking.scored]
    again = rank(servers, ranking.request, now)
    return again, next((server for server in again.eligible if server.name in by_name), None)


def decision(ranking: Ranking, chosen: Server | None, now: datetime, epoch: Epoch) -> Decision:
    """Return what is kept of a ranking, so that an operator can ask why."""
    return Decision(
        at=now,
        epoch=epoch,
        streams=ranking.request.streams,
        chosen=chosen.name if chosen else None,
        reason=_reason(ranking, chosen),
        candidates=[_candidate(one) for one in ranking.scored],
    )


def _as_booked(server: Server, booking: Booking | None) -> Server:
    if booking is None:
        return server
    fresh = max(server.fresh + booking.booked - server.booked, 0)
    return replace(server, capacity=booking.capacity, booked=booking.booked, draining=booking.draining, fresh=fresh)


def _rejected(server: Server, request: Request, now: datetime) -> Rejection | None:
    if server.name in request.tried:
        return Rejection(Unfit.TRIED, f"tried: {request.tried[server.name]}")
    if now - server.renewed_at >= timedelta(seconds=request.lease):
        return Rejection(Unfit.SILENT, f"silent for {(now - server.renewed_at).total_seconds():.1f} s")
    if server.draining:
        return Rejection(Unfit.DRAINING, "draining")
    return _unwanted(server, request, request.policy.of(server.name)) or _full(server, request)


def _unwanted(server: Server, request: Request, rules: Override) -> Rejection | None:
    """Return why the policy does not want a meeting on a server that could take it."""
    if rules.avoid:
        return Rejection(Unfit.AVOIDED, "the policy avoids it")
    if rules.limit is not None and (used := utilization(server, request.policy)) > rules.limit:
        return Rejection(Unfit.BUSY, f"busy: {used:.3f} of at most {rules.limit:g} is used")
    return None


def _full(server: Server, request: Request) -> Rejection | None:
    """Return why a meeting does not fit. What is kept for meetings that must move, a meeting that moves may use."""
    freed = request.held[1] if request.held and request.held[0] == server.name else 0
    capacity = usable(server, request.policy)
    kept = 0 if request.held else int(capacity * (request.policy.of(server.name).headroom or 0.0))
    free = capacity - kept - server.booked + freed
    if request.streams <= free:
        return None
    aside = f" and {kept} are kept for moves" if kept else ""
    return Rejection(Unfit.FULL, f"full: {free} of {capacity} streams are free{aside}, {request.streams} are wanted")


def _reason(ranking: Ranking, chosen: Server | None) -> str:
    known, policy = len(ranking.scored), ranking.request.policy
    if chosen is None:
        return f"none of {known} known media servers can take it"
    best = "highest" if policy.prefer is Prefer.PACK else "lowest"
    return f"{best} utilization ({utilization(chosen, policy):.3f}) of {len(ranking.eligible)} that can take it, {known} known"


def _candidate(one: Scored) -> Candidate:
    server = one.server
    return Candidate(
        media_server_id=server.name,
        capacity=server.capacity,
        booked=server.booked,
        cpu=server.cpu,
        egress=server.egress,
        utilization=round(one.utilization, 4),
        rejected=one.rejected,
        fresh=server.fresh,
        unfit=one.rejection.unfit if one.rejection else None,
    )
