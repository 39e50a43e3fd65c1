"""Policies: today's is the default and changes nothing; another one does what its lines say; a bad file is refused with the place."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.details import Unfit
from contracts.ids import MediaServerId
from services.kendra.placement import Ranking, Request, Server, rank, usable, utilization
from services.kendra.policy import DEFAULT, BadPolicy, Policy, Prefer, Weights, load, parse
from tests.pure.test_placement import LEASE, NOW, idle, some_servers

policies = st.builds(
    Policy,
    prefer=st.sampled_from(Prefer),
    capacity_factor=st.floats(0.05, 1),
    headroom=st.floats(0, 0.95),
    limit=st.none() | st.floats(0.05, 3),
    weights=st.builds(Weights, booked=st.floats(0.1, 3), cpu=st.floats(0, 3), egress=st.floats(0, 3)),
)


def names(ranking: Ranking) -> list[str]:
    return [server.name for server in ranking.eligible]


def asked(policy: Policy, streams: int = 10) -> Request:
    return Request(streams, LEASE, policy=policy)


def used(server: Server) -> float:
    """The rule as it is documented, written down a second time."""
    if server.capacity <= 0:
        return 1.0
    return max(server.booked / server.capacity, max(server.cpu, server.egress, 0.0) + server.fresh / server.capacity)


@given(some_servers(), st.integers(1, 3000))
def test_without_a_policy_the_documented_rule_holds_exactly(servers: list[Server], streams: int) -> None:
    ranking = rank(servers, Request(streams, LEASE), NOW)
    fit = [
        server
        for server in servers
        if not server.draining
        and (NOW - server.renewed_at).total_seconds() < LEASE
        and server.booked + streams <= server.capacity
    ]
    assert list(ranking.eligible) == sorted(fit, key=lambda one: (used(one), one.booked - one.capacity, one.name))
    assert [one.utilization for one in ranking.scored] == [used(one.server) for one in ranking.scored]


@given(some_servers(), st.integers(1, 3000))
def test_a_file_that_says_nothing_is_the_default(servers: list[Server], streams: int) -> None:
    assert parse("") == DEFAULT
    assert rank(servers, asked(parse(""), streams), NOW).scored == rank(servers, Request(streams, LEASE), NOW).scored


@given(some_servers(), st.integers(1, 3000), policies)
def test_whatever_the_policy_nobody_is_picked_who_has_no_room_no_lease_or_is_draining(
    servers: list[Server], streams: int, policy: Policy
) -> None:
    for server in rank(servers, asked(policy, streams), NOW).eligible:
        assert server.booked + streams <= usable(server, policy) <= server.capacity
        assert not server.draining
        assert (NOW - server.renewed_at).total_seconds() < LEASE
        assert policy.limit is None or utilization(server, policy) <= policy.limit


def test_pack_fills_the_fullest_that_still_has_room() -> None:
    servers = [idle("ms1", booked=100), idle("ms2", booked=980), idle("ms3", booked=995)]
    assert names(rank(servers, asked(Policy()), NOW)) == ["ms1", "ms2"]
    assert names(rank(servers, asked(Policy(prefer=Prefer.PACK)), NOW)) == ["ms2", "ms1"]


def test_a_measure_without_weight_does_not_count() -> None:
    servers = [idle("ms1", booked=600), idle("ms2", booked=100, cpu=0.9)]
    assert names(rank(servers, asked(Policy()), NOW)) == ["ms1", "ms2"]
    assert names(rank(servers, asked(parse("[weights]\ncpu = 0")), NOW)) == ["ms2", "ms1"]


def test_headroom_is_for_meetings_that_must_move() -> None:
    server = idle("ms1", booked=790)
    keeps = parse("headroom = 0.2")
    (scored,) = rank([server], asked(keeps, 11), NOW).scored
    assert scored.rejected == "full: 10 of 1000 streams are free and 200 are kept for moves, 11 are wanted"
    moving = replace(asked(keeps, 11), held=(MediaServerId("ms9"), 11))
    assert names(rank([server], moving, NOW)) == ["ms1"]


def test_a_server_is_used_up_to_its_factor_and_one_that_is_avoided_or_busy_not_at_all() -> None:
    policy = parse(
        "limit = 0.5\n[servers.ms1]\ncapacity_factor = 0.1\n[servers.ms2]\navoid = true\n[servers.ms4]\nlimit = 1"
    )
    servers = [idle("ms1", booked=95), *(idle(f"ms{n}", booked=600) for n in (2, 3, 4))]
    ranking = rank(servers, asked(policy), NOW)
    assert names(ranking) == ["ms4"]
    unfit = {one.server.name: one.rejection.unfit for one in ranking.scored if one.rejection}
    assert unfit == {"ms1": Unfit.BUSY, "ms2": Unfit.AVOIDED, "ms3": Unfit.BUSY}
    assert rank(servers[:1], asked(parse("[servers.ms1]\ncapacity_factor = 0.1")), NOW).scored[0].rejected == (
        "full: 5 of 100 streams are free, 10 are wanted"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prefer = 'best'", "p.toml: prefer: Input should be 'spread' or 'pack'"),
        ("capacity_factor = 1.5", "p.toml: capacity_factor: Input should be less than or equal to 1"),
        ("headroom = 1", "p.toml: headroom: Input should be less than 1"),
        ("[weights]\nmemory = 1", "p.toml: weights.memory: no such setting"),
        ("[weights]\nbooked = 0\ncpu = 0\negress = 0", "p.toml: weights: Value error, one of booked, cpu and egress"),
        ("[servers.ms1]\nlimit = -1", "p.toml: servers.ms1.limit: Input should be greater than 0"),
        ("headroom: 1", "p.toml is no TOML: "),
    ],
)
def test_a_bad_file_is_refused_with_the_place_and_the_reason(text: str, said: str) -> None:
    with pytest.raises(BadPolicy) as refused:
        parse(text, "p.toml")
    assert str(refused.value).startswith(said)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadPolicy, match=r"nowhere\.toml cannot be read"):
        load(tmp_path / "nowhere.toml")
    (tmp_path / "p.toml").write_text('prefer = "pack"')
    assert load(tmp_path / "p.toml").prefer is Prefer.PACK
