"""A meeting folded from its log."""

import pytest

from contracts.events import Event
from services.kendra.meeting import Meeting, OutOfOrder, event, fold

CREATED = ("MeetingCreated", '{"mediaServerId": "ms1", "epoch": 1, "capacity": {"participants": 2, "producers": 3}}')
JOINED = ("ParticipantJoined", '{"participantId": "asha"}')
PRODUCED = (
    "ProducerCreated",
    '{"producerId": "p", "participantId": "asha", "kind": "audio", "paused": false, "appData": {}}',
)
MOVED = ("MeetingMoved", '{"mediaServerId": "ms2", "epoch": 2}')
LEFT = ("ParticipantLeft", '{"participantId": "asha", "reason": "left"}')
ENDED = ("MeetingEnded", "{}")


def log(*entries: tuple[str, str], start: int = 1) -> list[tuple[int, Event | None]]:
    return [(number, event(type, body)) for number, (type, body) in enumerate(entries, start)]


def test_who_joined_and_what_is_sent_is_there() -> None:
    meeting = fold(Meeting(), log(CREATED, JOINED, PRODUCED))
    assert (meeting.sequence, meeting.epoch, meeting.server, meeting.ended) == (3, 1, "ms1", False)
    assert meeting.seats == {"asha": 2}
    assert [(id, sent.participant, sent.paused) for id, sent in meeting.producers.items()] == [("p", "asha", False)]


def test_pause_resume_and_close_change_the_producer() -> None:
    told = '{"producerId": "p", "participantId": "asha"}'
    meeting = fold(Meeting(), log(CREATED, JOINED, PRODUCED, ("ProducerPaused", told)))
    assert [sent.paused for sent in meeting.producers.values()] == [True]
    meeting = fold(meeting, log(("ProducerResumed", told), start=5))
    assert [sent.paused for sent in meeting.producers.values()] == [False]
    closed = '{"producerId": "p", "participantId": "asha", "reason": "closed"}'
    assert fold(meeting, log(("ProducerClosed", closed), start=6)).producers == {}


def test_another_instance_has_another_seat() -> None:
    assert fold(Meeting(), log(CREATED, JOINED, ("ParticipantReplaced", JOINED[1]))).seats == {"asha": 3}


def test_a_move_keeps_the_seats_and_ends_what_was_sent() -> None:
    meeting = fold(Meeting(), log(CREATED, JOINED, PRODUCED, MOVED))
    assert (meeting.epoch, meeting.server, meeting.seats, meeting.producers) == (2, "ms2", {"asha": 2}, {})


def test_an_end_ends_everything_and_a_new_life_begins_empty_with_the_next_number() -> None:
    meeting = fold(Meeting(), log(CREATED, JOINED, ENDED))
    assert (meeting.ended, meeting.server, meeting.seats) == (True, None, {})
    again = fold(meeting, log(CREATED, start=4))
    assert (again.ended, again.seats, again.sequence) == (False, {}, 4)


def test_who_left_has_no_seat() -> None:
    assert fold(Meeting(), log(CREATED, JOINED, LEFT)).seats == {}


def test_a_missing_event_is_noticed() -> None:
    with pytest.raises(OutOfOrder):
        fold(Meeting(), [*log(CREATED), *log(JOINED, start=3)])


def test_an_event_of_a_newer_version_changes_nothing_but_the_number() -> None:
    assert event("SomethingNew", "{}") is None
    assert fold(Meeting(), log(CREATED, ("SomethingNew", "{}"))).sequence == 2
