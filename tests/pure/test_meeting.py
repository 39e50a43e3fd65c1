"""A meeting folded from its log."""

import pytest

from contracts.events import Event
from services.kendra.meeting import Meeting, OutOfOrder, Participant, as_json, event, fold, from_json

CREATED = ("MeetingCreated", '{"mediaServerId": "ms1", "epoch": 1, "capacity": {"participants": 2, "producers": 3}}')
JOINED = ("ParticipantJoined", '{"participantId": "asha", "displayName": "Asha"}')
PRODUCED = (
    "ProducerCreated",
    '{"producerId": "p", "participantId": "asha", "kind": "audio", "paused": false, "appData": {"of": "camera"}}',
)
MOVED = ("MeetingMoved", '{"mediaServerId": "ms2", "epoch": 2}')
UNPLACED = ("MeetingUnplaced", '{"epoch": 2}')
LEFT = ("ParticipantLeft", '{"participantId": "asha", "reason": "left"}')
ENDED = ("MeetingEnded", "{}")


def log(*entries: tuple[str, str], start: int = 1) -> list[tuple[int, Event | None]]:
    return [(number, event(type, body)) for number, (type, body) in enumerate(entries, start)]


def test_who_joined_and_what_is_sent_is_there() -> None:
    meeting = fold(Meeting(), log(CREATED, JOINED, PRODUCED))
    assert (meeting.sequence, meeting.epoch, meeting.server, meeting.ended) == (3, 1, "ms1", False)
    assert meeting.seats == {"asha": 2}
    assert meeting.participants == {"asha": Participant(2, "Asha")}
    sent = [(id, one.participant, one.kind, one.paused, one.app_data) for id, one in meeting.producers.items()]
    assert sent == [("p", "asha", "audio", False, {"of": "camera"})]


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


def test_a_meeting_that_waits_for_a_place_keeps_its_seats_and_sends_nothing() -> None:
    meeting = fold(Meeting(), log(CREATED, JOINED, PRODUCED, UNPLACED))
    assert (meeting.epoch, meeting.server, meeting.ended) == (2, None, False)
    assert (meeting.seats, meeting.producers) == ({"asha": 2}, {})


def test_an_end_ends_everything_and_a_new_life_begins_empty_with_the_next_number() -> None:
    meeting = fold(Meeting(), log(CREATED, JOINED, ENDED))
    assert (meeting.ended, meeting.server, meeting.seats, meeting.epoch) == (True, None, {}, 2)
    again = fold(meeting, log(CREATED, start=4))
    assert (again.ended, again.seats, again.sequence) == (False, {}, 4)


def test_who_left_has_no_seat() -> None:
    assert fold(Meeting(), log(CREATED, JOINED, LEFT)).seats == {}


def test_what_a_seat_sent_is_over_with_the_seat_and_its_closing_changes_nothing() -> None:
    closed = ("ProducerClosed", '{"producerId": "p", "participantId": "asha", "reason": "left"}')
    for over in (LEFT, ("ParticipantReplaced", JOINED[1])):
        meeting = fold(Meeting(), log(CREATED, JOINED, PRODUCED, over))
        assert meeting.producers == {}
        assert fold(meeting, log(closed, start=5)).producers == {}


def test_a_state_that_was_kept_is_the_state() -> None:
    for entries in ((), (CREATED, JOINED, PRODUCED), (CREATED, JOINED, ENDED)):
        meeting = fold(Meeting(), log(*entries))
        assert from_json(as_json(meeting)) == meeting


def test_a_missing_event_is_noticed() -> None:
    with pytest.raises(OutOfOrder):
        fold(Meeting(), [*log(CREATED), *log(JOINED, start=3)])


def test_an_event_of_another_version_changes_nothing_but_the_number() -> None:
    assert event("SomethingNew", "{}") is None
    assert event("MeetingMoved", "{}") is None
    assert fold(Meeting(), log(CREATED, ("SomethingNew", "{}"))).sequence == 2
