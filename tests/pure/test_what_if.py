"""What another policy would have done: known histories with known outcomes, and what holds for every history and policy."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.details import Candidate, Decision, Unfit
from contracts.ids import BootId, Epoch, MediaServerId, MeetingId, TenantId
from services.cli.stack.errors import CannotRun
from services.cli.what_if.command import moment
from services.cli.what_if.history import Decided, Ended, History, Key, Lives, Step
from services.cli.what_if.simulate import Comparison, simulate
from services.kendra import placement
from services.kendra.placement import Request, Server
from services.kendra.policy import DEFAULT, Policy, parse
from tests.pure.test_policy import policies

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LEASE = 5.0


def key(name: str) -> Key:
    return Key(TenantId("acme"), MeetingId(name))


@dataclass
class Cluster:
    """A kendra in a few lines: it places by a policy what it is told to, and keeps the history of it."""

    servers: dict[str, Server]
    policy: Policy = DEFAULT
    now: datetime = NOON
    places: dict[Key, Lives] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def create(self, name: str, streams: int) -> MediaServerId | None:
        return self._decide(key(name), streams, Request(streams, LEASE, policy=self.policy), running=False)

    def move(self, name: str, tried: Mapping[str, str] = {}) -> MediaServerId | None:
        lives = self.places[key(name)]
        refused = {MediaServerId(server): why for server, why in tried.items()}
        request = Request(lives.streams, LEASE, refused, (lives.server, lives.streams), self.policy)
        return self._decide(key(name), lives.streams, request, running=True)

    def end(self, name: str) -> None:
        self._tick()
        self._free(key(name))
        self.steps.append(Ended(self.now, key(name)))

    def change(self, name: str, **what: object) -> None:
        self.servers[name] = replace(self.servers[name], **what)  # type: ignore[arg-type]

    def silence(self, name: str) -> None:
        self.change(name, renewed_at=NOON - timedelta(hours=1))

    def history(self) -> History:
        return History({}, tuple(self.steps), ranked=True)

    def _decide(self, of: Key, streams: int, request: Request, *, running: bool) -> MediaServerId | None:
        self._tick()
        ranking = placement.rank(list(self.servers.values()), request, self.now)
        chosen = ranking.best
        epoch = Epoch(1 if running or chosen else 0)
        self.steps.append(Decided(self.now, of, placement.decision(ranking, chosen, self.now, epoch)))
        self._free(of)
        if chosen is not None:
            self.places[of] = Lives(chosen.name, streams)
            was = self.servers[chosen.name]
            self.servers[chosen.name] = replace(was, booked=was.booked + streams, fresh=was.fresh + streams)
        return chosen.name if chosen else None

    def _free(self, of: Key) -> None:
        lives = self.places.pop(of, None)
        if lives is not None:
            was = self.servers[lives.server]
            left = was.booked - lives.streams
            self.servers[lives.server] = replace(was, booked=left, fresh=min(was.fresh, left))

    def _tick(self) -> None:
        self.now += timedelta(seconds=1)
        for name, server in self.servers.items():
            if server.renewed_at >= NOON:
                self.servers[name] = replace(server, renewed_at=self.now)


def cluster(*capacities: int, policy: Policy = DEFAULT, **load: float) -> Cluster:
    """Return servers `a`, `b`, … of these capacities; `load` is what is the same for all."""
    servers = {
        name: Server(MediaServerId(name), BootId("1"), capacity, 0, False, load.get("cpu", 0.0), 0.0, 0, NOON)
        for name, capacity in zip("abcdefgh", capacities, strict=False)
    }
    return Cluster(servers, policy)


def peaks(comparison: Comparison) -> dict[str, int]:
    return {load.server: load.peak_booked for load in comparison.policy.servers}


def test_packing_what_was_spread_fills_one_server_and_leaves_the_other() -> None:
    real = cluster(100, 100)
    for n in range(4):
        real.create(f"m{n}", 20)
    found = simulate(real.history(), parse('prefer = "pack"'))
    assert {load.server: load.peak_booked for load in found.happened.servers} == {"a": 40, "b": 40}
    assert peaks(found) == {"a": 80, "b": 0}
    assert (found.happened.placed, found.policy.placed) == (4, 4)
    assert [(one.key.meeting, one.happened, one.policy) for one in found.differences] == [
        ("m1", "b", "a"),
        ("m3", "b", "a"),
    ]


def test_bookings_evolve_under_the_policy_so_that_a_large_meeting_still_fits() -> None:
    real = cluster(100, 100)
    real.create("small-1", 30)
    real.create("small-2", 30)
    assert real.create("large", 90) is None
    found = simulate(real.history(), parse('prefer = "pack"'))
    assert (found.happened.refused, found.policy.refused) == (1, 0)
    assert peaks(found) == {"a": 60, "b": 90}
    assert found.happened.peak == 0.3
    assert found.policy.peak == 0.75
    assert [(one.key.meeting, one.happened, one.policy) for one in found.differences] == [
        ("small-2", "b", "a"),
        ("large", None, "b"),
    ]


def test_a_meeting_that_only_the_policy_placed_ends_after_the_usual_time() -> None:
    real = cluster(100, 100)
    real.create("small-1", 30)
    real.create("small-2", 30)
    assert real.create("large-1", 90) is None
    real.now += timedelta(minutes=10)
    real.end("small-1")
    real.end("small-2")
    real.now += timedelta(minutes=10)
    real.create("large-2", 90)
    real.create("large-3", 90)
    found = simulate(real.history(), parse('prefer = "pack"'))
    assert found.policy.refused == 0
    assert found.policy.placed == 5


def test_a_meeting_that_only_the_policy_placed_stays_when_it_was_created_after_all() -> None:
    real = cluster(100, 100)
    for name, minutes in (("long-1", 0), ("long-2", 60)):
        real.create(name, 10)
        real.now += timedelta(minutes=minutes)
    real.end("long-1")
    real.end("long-2")
    real.create("small-1", 30)
    real.create("small-2", 30)
    assert real.create("large", 90) is None
    real.end("small-1")
    real.end("small-2")
    assert real.create("large", 90) == "a"
    real.now += timedelta(hours=2)
    real.create("other", 5)
    real.move("large")
    found = simulate(real.history(), parse('prefer = "pack"'))
    assert (found.happened.placed, found.happened.moved, found.happened.refused) == (6, 1, 1)
    assert (found.policy.placed, found.policy.moved, found.policy.refused) == (6, 0, 0), (
        "it is on b, where nothing was lost"
    )


def test_headroom_refuses_what_was_placed_and_the_meeting_is_gone_from_the_other_course() -> None:
    real = cluster(100)
    real.create("m1", 60)
    real.create("m2", 30)
    real.end("m2")
    found = simulate(real.history(), parse("headroom = 0.2"))
    assert (found.happened.refused, found.policy.refused) == (0, 1)
    assert peaks(found) == {"a": 60}


def test_a_dead_server_moves_those_that_the_policy_had_there_and_nobody_else() -> None:
    real = cluster(100, 100, 100)
    for n in range(3):
        real.create(f"m{n}", 10)
    real.silence("a")
    real.move("m0")
    found = simulate(real.history(), parse('prefer = "pack"'))
    assert found.happened.moved == 1
    assert found.policy.moved == 3
    assert peaks(found) == {"a": 30, "b": 30, "c": 0}
    spared = simulate(real.history(), parse("[servers.a]\navoid = true"))
    assert spared.policy.moved == 0
    assert spared.policy.placed == 3


def test_a_drain_moves_what_the_policy_had_there() -> None:
    real = cluster(100, 100)
    real.create("m0", 10)
    real.create("m1", 10)
    real.change("b", draining=True)
    real.move("m1")
    assert real.places[key("m1")].server == "a"
    away = simulate(real.history(), parse("[servers.a]\ncapacity_factor = 0.05"))
    assert peaks(away) == {"a": 0, "b": 20}
    assert (away.happened.moved, away.policy.moved, away.policy.refused) == (1, 0, 0), "no room: both stay on b"
    packed = simulate(real.history(), parse('prefer = "pack"'))
    assert (packed.happened.moved, packed.policy.moved) == (1, 0), "both were on a"


def test_a_refusal_of_one_server_is_nothing_to_a_meeting_that_is_elsewhere() -> None:
    real = cluster(100, 100)
    real.create("m0", 10)
    real.move("m0", {"a": "busy"})
    assert real.places[key("m0")].server == "b"
    found = simulate(real.history(), parse("[servers.a]\navoid = true"))
    assert (found.happened.moved, found.policy.moved) == (1, 0)
    assert peaks(found) == {"a": 0, "b": 10}


def test_a_move_within_a_server_stays_one() -> None:
    real = cluster(100)
    real.create("m0", 80)
    assert real.move("m0") == "a"
    found = simulate(real.history(), DEFAULT)
    assert (found.happened.moved, found.policy.moved) == (1, 1)
    assert peaks(found) == {"a": 80}


def test_what_other_meetings_booked_stays_where_it_is() -> None:
    real = cluster(100, 100)
    real.change("a", booked=70)
    real.create("m0", 20)
    found = simulate(real.history(), parse('prefer = "pack"'))
    assert peaks(found) == {"a": 90, "b": 0}
    assert {load.server: load.peak_booked for load in found.happened.servers} == {"a": 70, "b": 20}


def test_measured_load_is_corrected_for_other_bookings() -> None:
    """`b` is hot because of m0. Where the policy has m0 elsewhere it is cold, and takes the next meeting; `a` is the hotter for it."""
    real = cluster(200, 100)
    real.change("a", booked=10)
    assert real.create("m0", 50) == "b"
    real.change("b", cpu=0.9, fresh=0)
    real.change("a", cpu=0.5)
    assert real.create("m1", 10) == "a"
    found = simulate(real.history(), parse("[servers.b]\ncapacity_factor = 0.4"))
    assert {one.key.meeting: one.policy for one in found.differences} == {"m0": "a", "m1": "b"}


def test_what_the_policy_booked_more_counts_like_what_was_booked_since_the_load_was_measured() -> None:
    real = cluster(200, 100, 100)
    real.change("a", booked=10)
    real.change("c", cpu=0.6)
    assert real.create("m0", 50) == "b"
    real.change("a", cpu=0.5)
    real.change("b", cpu=0.9, fresh=0)
    assert real.create("m1", 10) == "a"
    found = simulate(real.history(), parse("[servers.b]\navoid = true"))
    moved = {one.key.meeting: one.policy for one in found.differences}
    assert moved == {"m0": "a", "m1": "c"}, "0.5 + 50 / 200 is used of a, 0.6 of c"


def test_a_choice_that_was_raced_for_is_repeated_as_it_was() -> None:
    """Two creates at once: the two best filled up under the lock, so what was chosen is not the best of what is recorded."""
    best = Candidate(media_server_id=MediaServerId("a"), capacity=100, booked=10, cpu=0, egress=0, utilization=0.1)
    taken = best.model_copy(update={"media_server_id": MediaServerId("b"), "booked": 20, "utilization": 0.2})
    decision = Decision(
        at=NOON, epoch=Epoch(1), streams=5, chosen=MediaServerId("b"), reason="", candidates=[best, taken]
    )
    history = History({}, (Decided(NOON, key("m0"), decision),), ranked=True)
    assert simulate(history, DEFAULT).differences == ()
    (difference,) = simulate(replace(history, ranked=False), DEFAULT).differences
    assert difference.policy == "a"


def test_nothing_happened() -> None:
    found = simulate(History({}, (), ranked=True), DEFAULT)
    assert (found.begun, found.decisions, found.differences) == (None, 0, ())


@st.composite
def lives(draw: st.DrawFn, policy: st.SearchStrategy[Policy] | None = None) -> Cluster:
    """A cluster that lived through creates, ends, loads, drains, deaths, refusals."""
    capacities = draw(st.lists(st.integers(10, 200), min_size=1, max_size=5))
    real = cluster(*capacities, policy=draw(policy) if policy is not None else DEFAULT)
    chance = random.Random(draw(st.integers(0, 2**32)))
    for number in range(draw(st.integers(0, 40))):
        _something(real, chance, number)
    return real


def _something(real: Cluster, chance: random.Random, number: int) -> None:
    names, running = sorted(real.servers), sorted(one.meeting for one in real.places)
    server = chance.choice(names)
    match chance.choice(("create", "create", "create", "end", "load", "drain", "death", "refusal", "loss")):
        case "end" if running:
            real.end(chance.choice(running))
        case "load":
            real.change(server, cpu=chance.random(), egress=chance.random(), fresh=0)
        case "drain":
            real.change(server, draining=not real.servers[server].draining)
            _leave(real, server)
        case "death":
            real.silence(server)
            _leave(real, server)
            real.change(server, renewed_at=real.now if chance.random() < 0.5 else NOON - timedelta(hours=1))
        case "refusal" if running:
            meeting = chance.choice(running)
            real.move(meeting, {real.places[key(meeting)].server: "busy"})
        case "loss" if running:
            real.move(chance.choice(running))
        case _:
            real.create(f"m{number}", chance.randint(1, 60))


def _leave(real: Cluster, server: str) -> None:
    for of in sorted(of for of, where in real.places.items() if where.server == server):
        real.move(of.meeting)


@settings(max_examples=120, deadline=None)
@given(lives())
def test_the_policy_that_was_in_force_reproduces_what_happened_exactly(real: Cluster) -> None:
    found = simulate(real.history(), DEFAULT)
    assert found.differences == ()
    assert found.policy == found.happened


@settings(max_examples=60, deadline=None)
@given(lives(policies), policies)
def test_bookings_never_exceed_a_servers_capacity(real: Cluster, policy: Policy) -> None:
    found = simulate(real.history(), policy)
    for load in found.policy.servers:
        assert load.peak_booked <= real.servers[load.server].capacity
    assert found.policy.peak <= 1
    assert found == simulate(real.history(), policy), "deterministic"


@settings(max_examples=60, deadline=None)
@given(lives(), policies)
def test_a_server_is_never_booked_beyond_what_the_policy_uses_of_it(real: Cluster, policy: Policy) -> None:
    found = simulate(real.history(), policy)
    for load in found.policy.servers:
        assert load.peak_booked <= placement.usable(real.servers[load.server], policy)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("90m", NOON - timedelta(minutes=90)),
        ("7d", NOON - timedelta(days=7)),
        ("2026-11-22T10:00", NOON - timedelta(hours=2)),
        ("2026-11-22T10:00+02:00", NOON - timedelta(hours=4)),
    ],
)
def test_since_is_how_long_ago_or_a_time(said: str, meant: datetime) -> None:
    assert moment(said, NOON) == meant


@pytest.mark.parametrize("said", ["yesterday", "5", "-3h", "9999999999d"])
def test_what_is_no_time_is_refused(said: str) -> None:
    with pytest.raises(CannotRun, match="is no time"):
        moment(said, NOON)


def unfit(decided: Iterable[Step]) -> set[Unfit | None]:
    return {one.unfit for step in decided if isinstance(step, Decided) for one in step.decision.candidates}


def test_the_histories_that_are_tried_have_everything_in_them() -> None:
    chance, seen = random.Random(1), set[Unfit | None]()
    for _ in range(20):
        real = cluster(60, 100, 40)
        for number in range(60):
            _something(real, chance, number)
        seen |= unfit(real.steps)
    assert {Unfit.SILENT, Unfit.DRAINING, Unfit.TRIED, Unfit.FULL, None} <= seen
