"""Placement: whatever the servers look like, the decision keeps its rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import BootId, Epoch, MediaServerId
from services.kendra.placement import Booking, Request, Server, decision, locked, rank, utilization

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LEASE = 5.0

shares = st.floats(0, 1.5, allow_nan=False)


@st.composite
def some_servers(draw: st.DrawFn) -> list[Server]:
    """Up to eight servers of any size and state, with different names."""
    names = draw(st.lists(st.sampled_from([f"ms{n}" for n in range(20)]), unique=True, max_size=8))
    return [draw(one_server(name)) for name in names]


@st.composite
def one_server(draw: st.DrawFn, name: str = "ms1") -> Server:
    capacity = draw(st.integers(0, 5000))
    booked = draw(st.integers(0, capacity))
    return Server(
        name=MediaServerId(name),
        boot=BootId("b"),
        capacity=capacity,
        booked=booked,
        draining=draw(st.booleans()),
        cpu=draw(shares),
        egress=draw(shares),
        fresh=draw(st.integers(0, booked)),
        renewed_at=NOW - timedelta(seconds=draw(st.floats(0, 10))),
    )


def idle(name: str, capacity: int = 1000, **differences: object) -> Server:
    server = Server(MediaServerId(name), BootId("b"), capacity, 0, False, 0.0, 0.0, 0, NOW)
    return replace(server, **differences)  # type: ignore[arg-type]


@given(some_servers(), st.integers(1, 3000), st.sets(st.sampled_from([f"ms{n}" for n in range(20)])))
def test_who_is_picked_has_room_a_lease_and_is_neither_draining_nor_tried(
    servers: list[Server], streams: int, tried: set[str]
) -> None:
    request = Request(streams, LEASE, {MediaServerId(name): "refused" for name in tried})
    for server in rank(servers, request, NOW).eligible:
        assert server.booked + streams <= server.capacity
        assert NOW - server.renewed_at < timedelta(seconds=LEASE)
        assert not server.draining
        assert server.name not in tried


@given(some_servers(), st.integers(1, 3000))
def test_nobody_who_could_be_picked_is_idler_than_who_is(servers: list[Server], streams: int) -> None:
    ranking = rank(servers, Request(streams, LEASE), NOW)
    if ranking.best is None:
        assert all(one.rejected for one in ranking.scored)
    else:
        assert utilization(ranking.best) == min(utilization(server) for server in ranking.eligible)


@given(some_servers(), st.integers(1, 3000), st.randoms(use_true_random=False))
def test_the_order_in_which_servers_are_read_does_not_matter(
    servers: list[Server], streams: int, random: object
) -> None:
    shuffled = sorted(servers, key=lambda _: random.random())  # type: ignore[attr-defined]
    request = Request(streams, LEASE)
    assert rank(shuffled, request, NOW).eligible == rank(servers, request, NOW).eligible


@given(some_servers(), st.integers(1, 3000))
def test_every_server_is_explained_and_only_who_is_rejected_has_a_reason(servers: list[Server], streams: int) -> None:
    ranking = rank(servers, Request(streams, LEASE), NOW)
    explained = decision(ranking, ranking.best, NOW, Epoch(1))
    assert {one.media_server_id for one in explained.candidates} == {server.name for server in servers}
    rejected = {one.media_server_id for one in explained.candidates if one.rejected}
    assert rejected.isdisjoint(server.name for server in ranking.eligible)
    assert explained.chosen not in rejected
    assert explained.reason


@given(st.lists(st.integers(200, 4000), min_size=2, max_size=6), st.integers(1, 40), shares)
def test_meetings_placed_one_after_the_other_land_evenly_without_a_new_heartbeat(
    capacities: list[int], streams: int, cpu: float
) -> None:
    servers = {f"ms{n}": idle(f"ms{n}", capacity, cpu=cpu) for n, capacity in enumerate(capacities)}
    for _ in range(50):
        best = rank(list(servers.values()), Request(streams, LEASE), NOW).best
        if best is not None:
            servers[best.name] = replace(best, booked=best.booked + streams, fresh=best.fresh + streams)
    used = {server.booked / server.capacity for server in servers.values() if server.room >= streams}
    one_meeting = streams / min(capacities)
    assert not used or max(used) - min(used) <= one_meeting + 1e-9


@given(some_servers(), st.integers(1, 3000), st.data())
def test_under_the_lock_the_lower_of_the_locked_is_taken_and_never_one_that_filled_up(
    servers: list[Server], streams: int, data: st.DataObject
) -> None:
    ranking = rank(servers, Request(streams, LEASE), NOW)
    best_two = ranking.eligible[:2]
    fresh = [
        Booking(
            server.name,
            data.draw(st.integers(server.booked, server.capacity)),
            server.capacity,
            data.draw(st.booleans()),
        )
        for server in best_two
    ]
    again, chosen = locked(ranking, fresh, NOW)
    fits = [one for one in fresh if not one.draining and one.booked + streams <= one.capacity]
    assert (chosen is None) == (not fits)
    if chosen is not None:
        assert chosen.name in {one.server for one in fits}
        assert chosen == next(server for server in again.eligible if server.name in {one.server for one in fits})


def test_load_that_was_measured_before_a_booking_is_corrected_by_it() -> None:
    measured_idle = idle("ms1", booked=500, fresh=500, cpu=0.3)
    assert utilization(measured_idle) == 0.8
    assert utilization(replace(measured_idle, fresh=0)) == 0.5


def test_cpu_and_egress_count_as_much_as_bookings() -> None:
    servers = [idle("ms1", booked=600), idle("ms2", cpu=0.7), idle("ms3", egress=0.8), idle("ms4", booked=500, cpu=0.2)]
    assert [server.name for server in rank(servers, Request(10, LEASE), NOW).eligible] == ["ms4", "ms1", "ms2", "ms3"]


def test_a_meeting_may_move_within_a_full_server_for_its_own_streams_are_freed_first() -> None:
    full = idle("ms1", 100, booked=100)
    assert rank([full], Request(40, LEASE), NOW).best is None
    assert rank([full], Request(40, LEASE, held=(full.name, 40)), NOW).best == full
