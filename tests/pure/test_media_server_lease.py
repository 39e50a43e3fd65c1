"""The lease by the server's own clock."""

import pytest

from contracts.failure import MediaServerUnavailable
from services.media_server.lease import Lease


def test_nothing_is_answered_before_the_first_renewal() -> None:
    with pytest.raises(MediaServerUnavailable):
        Lease().must_hold(1000.0)


def test_commands_are_answered_for_four_seconds_from_when_the_renewal_was_sent() -> None:
    lease = Lease()
    lease.renewed(10.0)
    assert lease.holds(14.0)
    assert not lease.holds(14.001)


def test_a_renewal_that_was_sent_earlier_and_answered_later_changes_nothing() -> None:
    lease = Lease()
    lease.renewed(10.0)
    lease.renewed(9.0)
    assert lease.holds(14.0)


def test_without_a_consumer_at_the_broker_it_is_renewed_for_ten_seconds_more() -> None:
    lease = Lease()
    assert lease.heard(0.0, consuming=True)
    assert lease.heard(10.0, consuming=False)
    assert not lease.heard(10.1, consuming=False)
    assert lease.heard(11.0, consuming=True)
    assert lease.heard(20.0, consuming=False)
