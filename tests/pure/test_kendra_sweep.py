"""When the sweep looks at what, and what it may conclude from silence."""

from services.kendra.sweep import Cadence, Hearing


def test_nobody_is_missed_before_this_kendra_listened_for_long_without_a_break() -> None:
    hearing = Hearing()
    for second in range(10):
        hearing.noted(hears=True, now=second)
    assert hearing.seconds(now=10) == 10
    hearing.noted(hears=False, now=10)
    assert hearing.seconds(now=10) == 0
    hearing.noted(hears=True, now=40)
    assert hearing.seconds(now=41) == 1


def test_what_is_due_each_two_seconds_is_done_in_every_second_round() -> None:
    cadence, done = Cadence(2.0), list[int]()
    for round in range(6):
        now = round + 0.01 * (-1) ** round
        if cadence.due(now):
            cadence.done(now)
            done.append(round)
    assert done == [0, 2, 4]


def test_what_shall_be_done_more_often_than_rounds_come_is_done_in_each() -> None:
    cadence = Cadence(0.05)
    cadence.done(1.0)
    assert cadence.due(2.0)
