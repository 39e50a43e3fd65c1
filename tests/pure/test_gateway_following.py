"""What a follower of events is sent: gaps, what is meant for whom, and where a stream ends."""

from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import ParticipantId, Seat
from services.gateway.following import Entry, Follower, LiveEntry, StreamState, Viewer, framed, gap

ANN, BOB = ParticipantId("ann"), ParticipantId("bob")


def entry(sequence: int, name: str = "ProducerPaused", *, to: str | None = None, about: str | None = None) -> Entry:
    return Entry(
        sequence,
        name,
        ParticipantId(to) if to else None,
        ParticipantId(about) if about else None,
        framed(name, "{}", sequence),
    )


def sent(follower: Follower, *entries: Entry | LiveEntry) -> list[bytes]:
    return [frame for one in entries for frame in follower.take(one)]


def begun(seen: int | None, head: int, last: int | None) -> tuple[Follower, list[bytes]]:
    follower = Follower(Viewer(ANN, Seat(1)), seen=seen, head=head)
    return follower, list(follower.begin(None if last is None else StreamState(last)))


def test_what_follows_what_was_seen_needs_no_gap() -> None:
    follower, first = begun(seen=3, head=5, last=5)
    assert first == []
    assert sent(follower, entry(4), entry(5)) == [entry(4).frame, entry(5).frame]


def test_a_client_that_is_up_to_date_is_sent_nothing() -> None:
    assert begun(seen=5, head=5, last=5)[1] == []


def test_an_absent_stream_is_a_gap_up_to_the_head() -> None:
    follower, first = begun(seen=3, head=5, last=None)
    assert first == [gap(5)]
    assert sent(follower, entry(4), entry(5), entry(6)) == [entry(6).frame]


def test_a_stream_that_ends_below_what_was_seen_is_a_gap() -> None:
    assert begun(seen=9, head=9, last=4)[1] == [gap(9)]


def test_a_log_that_went_back_is_a_gap_from_which_it_goes_on() -> None:
    follower, first = begun(seen=9, head=4, last=4)
    assert first == [gap(4)]
    assert sent(follower, entry(5)) == [entry(5).frame]


def test_a_head_that_nothing_in_the_stream_leads_to_is_a_gap() -> None:
    assert begun(seen=5, head=7, last=5)[1] == [gap(7)]


def test_an_event_that_is_not_the_next_is_announced_by_a_gap() -> None:
    follower, _ = begun(seen=3, head=9, last=9)
    assert sent(follower, entry(8), entry(9)) == [gap(7), entry(8).frame, entry(9).frame]


def test_without_an_id_only_what_is_new_is_sent() -> None:
    follower, first = begun(seen=None, head=5, last=5)
    assert first == []
    assert sent(follower, entry(5), entry(6)) == [entry(6).frame]


def test_what_is_meant_for_another_is_left_out_and_no_gap() -> None:
    follower, _ = begun(seen=0, head=3, last=3)
    assert sent(follower, entry(1, to="bob"), entry(2, to="ann"), entry(3)) == [entry(2).frame, entry(3).frame]


def test_a_missing_event_for_another_is_still_a_gap() -> None:
    follower, _ = begun(seen=0, head=3, last=3)
    assert sent(follower, entry(2, to="bob"), entry(3)) == [gap(1), entry(3).frame]


def test_live_events_have_no_place_and_reach_whom_they_are_meant_for() -> None:
    follower, _ = begun(seen=0, head=0, last=0)
    mine, all_, theirs = (LiveEntry(to, framed("ActiveSpeaker", "{}")) for to in (ANN, None, BOB))
    assert sent(follower, mine, all_, theirs) == [mine.frame, all_.frame]
    assert b"id:" not in mine.frame


def test_a_kicked_seat_hears_of_it_and_nothing_more() -> None:
    follower, _ = begun(seen=1, head=1, last=1)
    gone = entry(2, "ParticipantLeft", about="ann")
    assert sent(follower, gone, entry(3)) == [gone.frame]
    assert follower.over


def test_a_replaced_seat_ends_and_the_new_one_does_not() -> None:
    replaced = entry(4, "ParticipantReplaced", about="ann")
    old, new = (Follower(Viewer(ANN, Seat(seat)), seen=3, head=4) for seat in (2, 4))
    assert sent(old, replaced) == sent(new, replaced) == [replaced.frame]
    assert (old.over, new.over) == (True, False)


def test_what_happened_before_the_seat_was_taken_does_not_end_it() -> None:
    follower = Follower(Viewer(ANN, Seat(5)), seen=0, head=5)
    history = [entry(1, "ParticipantJoined", about="ann"), entry(2, "ParticipantLeft", about="ann")]
    sent(
        follower,
        *history,
        entry(3, "MeetingEnded"),
        entry(4, "MeetingCreated"),
        entry(5, "ParticipantJoined", about="ann"),
    )
    assert not follower.over


def test_others_leaving_ends_nothing() -> None:
    follower, _ = begun(seen=1, head=1, last=1)
    sent(follower, entry(2, "ParticipantLeft", about="bob"))
    assert not follower.over


def test_the_meetings_end_ends_everybody() -> None:
    for viewer in (Viewer(), Viewer(ANN, Seat(1))):
        follower = Follower(viewer, seen=1, head=1)
        assert sent(follower, entry(2, "MeetingEnded"), entry(3)) == [entry(2, "MeetingEnded").frame]
        assert follower.over


@given(st.lists(st.integers(1, 30), max_size=40), st.integers(0, 20))
def test_ids_only_grow_and_every_hole_is_announced(sequences: list[int], seen: int) -> None:
    follower = Follower(Viewer(), seen=seen, head=seen)
    known = seen
    for sequence in sequences:
        for frame in follower.take(entry(sequence)):
            number = int(frame.rpartition(b"id: ")[2])
            assert number > known
            assert frame.startswith(b"event: gap") or number == known + 1
            known = number
