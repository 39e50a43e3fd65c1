"""The lease by the server's own clock."""

import pytest
from pydantic import ValidationError

from contracts.failure import MediaServerUnavailable
from services.media_server.lease import Lease
from services.media_server.settings import Settings


def test_nothing_is_answered_before_the_first_renewal() -> None:
    with pytest.raises(MediaServerUnavailable):
        Lease(5.0, 10.0).must_hold(1000.0)


def test_commands_are_answered_for_four_seconds_from_when_the_renewal_was_sent() -> None:
    lease = Lease(5.0, 10.0)
    lease.renewed(10.0)
    assert lease.holds(14.0)
    assert not lease.holds(14.001)


def test_a_renewal_that_was_sent_earlier_and_answered_later_changes_nothing() -> None:
    lease = Lease(5.0, 10.0)
    lease.renewed(10.0)
    lease.renewed(9.0)
    assert lease.holds(14.0)


def test_without_a_consumer_at_the_broker_it_is_renewed_for_ten_seconds_more() -> None:
    lease = Lease(5.0, 10.0)
    assert lease.heard(0.0, consuming=True)
    assert lease.heard(10.0, consuming=False)
    assert not lease.heard(10.1, consuming=False)
    assert lease.heard(11.0, consuming=True)
    assert lease.heard(20.0, consuming=False)


def test_a_heartbeat_that_is_not_well_below_the_lease_is_refused() -> None:
    assert Settings(lease=3.0, heartbeat=0.5).heartbeat == 0.5
    with pytest.raises(ValidationError, match="heartbeat"):
        Settings(lease=3.0, heartbeat=1.5)
    with pytest.raises(ValidationError, match="heartbeat"):
        Settings(lease=2.0)


def test_without_a_broker_it_is_renewed_for_ten_seconds_from_the_brokers_last_word() -> None:
    lease = Lease(5.0, 10.0)
    assert lease.heard(100.0, consuming=True, at=99.2)
    assert lease.heard(103.0, consuming=False, at=100.0)
    assert lease.heard(110.0, consuming=False, at=100.0)
    assert not lease.heard(110.1, consuming=False, at=100.0)
    assert lease.heard(112.0, consuming=True, at=111.5)


def test_one_that_is_over_is_over_at_once() -> None:
    lease = Lease(5.0, 10.0)
    lease.renewed(10.0)
    lease.over()
    assert not lease.holds(10.0)
