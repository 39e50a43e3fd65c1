"""What `doordarshan drain` says and when it ends, of servers as they are listed."""

from datetime import UTC, datetime

import pytest

from contracts.ids import BootId, MediaServerId
from contracts.servers import MediaServerView
from services.cli.emptying import Emptying, Screen
from services.cli.moments import seconds_of
from services.cli.stack.errors import CannotRun


def server(name: str = "ms1", meetings: int = 0, leaving: int = 0, **more: object) -> MediaServerView:
    given = {"draining": name == "ms1", "live": True, "capacity": 100, "booked": 0} | more
    return MediaServerView(
        media_server_id=MediaServerId(name),
        boot_id=BootId("b"),
        address="127.0.0.1",
        cpu=0.0,
        egress=0.0,
        meetings=meetings,
        leaving=leaving,
        renewed_at=datetime.now(UTC),
        **given,  # type: ignore[arg-type]
    )


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def emptying(clock: Clock) -> Emptying:
    return Emptying("ms1", 60.0, Screen(), clock)


def test_what_is_left_is_told_when_it_changes_and_the_end_when_nothing_forwards_any_more(
    emptying: Emptying, capsys: pytest.CaptureFixture[str]
) -> None:
    other = server("ms2")
    for now in (server(meetings=2), server(meetings=2), server(meetings=1, leaving=1), server(leaving=1)):
        assert not emptying.over([other, now])
    assert emptying.over([server(), other])
    assert capsys.readouterr().out.splitlines() == [
        "ms1: 2 meetings left",
        "ms1: 1 meeting left, 1 leaving",
        "ms1: 0 meetings left, 1 leaving",
        "ms1 is empty and gets no new meetings",
    ]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (server("ms2", booked=100), "no other media server has room"),
        (server("ms2", live=False), "there is no other media server that meetings could move to"),
        (server("ms2", draining=True), "there is no other media server that meetings could move to"),
        (server("ms2"), "others have room, but did not take them yet"),
    ],
)
def test_after_the_deadline_it_fails_with_the_reason(
    emptying: Emptying, clock: Clock, other: MediaServerView, why: str
) -> None:
    assert not emptying.over([server(meetings=1), other])
    clock.now = 70.0
    with pytest.raises(CannotRun, match=f"the deadline passed and 1 meeting could not leave ms1: {why}"):
        emptying.over([server(meetings=1), other])


def test_old_routers_have_their_time_after_the_deadline_but_not_for_ever(emptying: Emptying, clock: Clock) -> None:
    clock.now = 70.0
    assert not emptying.over([server(leaving=2)])
    clock.now = 100.0
    with pytest.raises(CannotRun, match="2 old routers on ms1 do not end"):
        emptying.over([server(leaving=2)])


def test_it_ends_when_somebody_else_ends_the_drain_and_when_the_server_is_gone(emptying: Emptying) -> None:
    with pytest.raises(CannotRun, match="somebody ended the drain, with 3 meetings on ms1"):
        emptying.over([server(meetings=3, draining=False)])
    assert emptying.over([server("ms2")])


def test_a_cancelled_drain_says_what_stays_moved(emptying: Emptying) -> None:
    for left in (5, 3):
        emptying.over([server(meetings=left), server("ms2")])
    assert (
        emptying.cancelled() == "cancelled: ms1 gets meetings again; 2 of 5 meetings left it, and stay where they are"
    )


def test_a_deadline_is_a_number_with_a_unit() -> None:
    assert [seconds_of(one) for one in ("60s", "5m", "1.5h", "90", "0s")] == [60, 300, 5400, 90, 0]
    for wrong in ("", "soon", "-1s", "5 weeks", "25h", "1e3"):
        with pytest.raises(CannotRun, match="say a time up to a day"):
            seconds_of(wrong)
