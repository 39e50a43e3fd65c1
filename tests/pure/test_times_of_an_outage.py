"""The times that decide what an outage looks like fit each other: sums over services that no process sees at once."""

import aiormq

from services.bus import connection, consumer
from services.gateway.budget import ANSWER_WITHIN, ASK_WITHIN
from services.kendra import media
from services.kendra.granted import BUDGET
from services.kendra.settings import Settings as Kendra
from services.media_server.fenced import FORWARDS_FOR
from services.media_server.lease import ANSWERED_SHARE
from services.media_server.settings import Settings as MediaServer

LEASE = MediaServer.model_fields["lease"].default
HEARTBEAT = MediaServer.model_fields["heartbeat"].default
UNHEARD = MediaServer.model_fields["unheard"].default


def test_a_dead_or_cut_off_media_server_loses_its_meetings_after_five_seconds() -> None:
    assert Kendra.model_fields["lease"].default == LEASE == 5.0
    assert LEASE * ANSWERED_SHARE + HEARTBEAT <= LEASE


def test_one_that_only_the_broker_has_lost_loses_them_after_fifteen() -> None:
    assert UNHEARD + LEASE == 15.0
    assert consumer.ASKED_EACH < consumer.GOOD_FOR < UNHEARD
    grace = (connection.HEARTBEAT + 1) * aiormq.Connection.HEARTBEAT_GRACE_MULTIPLIER
    assert grace < UNHEARD, "a connection that is whole again must be made anew before the lease is given up"


def test_its_callers_hear_so_within_two_seconds_and_all_others_within_five() -> None:
    assert media.ASK < 2.0
    assert 2 * media.ASK < BUDGET < ASK_WITHIN < ANSWER_WITHIN < 5.0


def test_nothing_is_forwarded_ten_seconds_after_a_server_heard_that_it_is_fenced() -> None:
    assert HEARTBEAT + FORWARDS_FOR < 10.0
