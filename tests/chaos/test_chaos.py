"""Chaos as a habit: a minute of it with a fixed seed, and the proof that it turns red when a safeguard is missing."""

import pytest

from services.cli.participant.api import JsonObject
from tests.chaos import history
from tests.chaos.history import Attempt, Logged
from tests.chaos.run import described, run
from tests.chaos.sabotage import sabotaged

SEED = 20_261_122


@pytest.mark.timeout(240)
async def test_a_minute_of_random_faults_breaks_no_promise() -> None:
    outcome = await run(60.0, SEED, tell=print)
    assert outcome.wrong == []
    assert len(outcome.costs) >= 12, [described(cost) for cost in outcome.costs]
    assert len(outcome.kinds) >= 6
    assert (outcome.people, outcome.meetings) == (6, 3)
    assert outcome.calls >= 200
    assert outcome.frames > 5_000


@pytest.mark.timeout(180)
async def test_chaos_sees_a_media_server_that_goes_on_after_its_meetings_moved() -> None:
    outcome = await run(20.0, SEED, kinds=["media server frozen"], routed=sabotaged("no-fence"), weighing=False)
    assert any(wrong.startswith("I5") for wrong in outcome.wrong), outcome.wrong


@pytest.mark.timeout(180)
async def test_chaos_sees_a_relay_that_loses_events() -> None:
    outcome = await run(3.0, SEED, kinds=["redis wiped"], routed=sabotaged("leaky-relay"), weighing=False)
    assert any("Redis lacks" in wrong for wrong in outcome.wrong), outcome.wrong


def attempt(path: str = "/v1/meetings/m/participants/p/producers", **more: object) -> Attempt:
    given = {"caller": "m/p", "method": "POST", "path": path, "key": "k", "at": 10.0, "seconds": 0.1, "status": 201}
    return Attempt(**{**given, **more})  # type: ignore[arg-type]


def created(sequence: int, producer: str, key: str = "k", epoch: int = 1) -> Logged:
    body: JsonObject = {"producerId": producer, "participantId": "p", "appData": {"key": key}}
    return Logged("m", sequence, epoch, "ProducerCreated", body)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (attempt(seconds=6.0), "answered after 6.0 s"),
        (attempt(status=500, code="internal"), "500 internal, which is no code"),
        (attempt(status=502, code="http_502"), "which is no code"),
        (attempt(status=0, code="unreachable"), "not answered although no gateway was away"),
    ],
)
def test_an_answer_that_is_late_untyped_or_missing_is_noticed(wrong: Attempt, said: str) -> None:
    assert said in "".join(history.answers([wrong], []))


def test_a_connection_that_fails_while_a_gateway_is_away_is_nobodys_fault() -> None:
    assert history.answers([attempt(status=0, code="unreachable")], [(9.0, 11.0)]) == []
    assert (
        history.answers([attempt(status=503, code="unavailable"), attempt(status=504, code="deadline_exceeded")], [])
        == []
    )


def test_one_key_with_two_replies_or_two_effects_is_noticed() -> None:
    first, again = attempt(reply={"id": "a"}), attempt(reply={"id": "b"})
    assert history.one_reply_a_key([first, first]) == []
    assert history.one_reply_a_key([first, again]) != []
    assert history.effects([first], [created(1, "a")]) == []
    assert "made 2 producers" in "".join(history.effects([first], [created(1, "a"), created(2, "b")]))
    assert "announced 2 times" in "".join(history.effects([first], [created(1, "a"), created(2, "a")]))
    assert "is not in the log" in "".join(history.effects([again], [created(1, "a")]))


def test_a_leave_that_was_acknowledged_and_lost_is_noticed() -> None:
    left = Logged("m", 1, 1, "ParticipantLeft", {"participantId": "p", "reason": "left"})
    once, again = (attempt("/v1/meetings/m/leave", status=204, key=key) for key in ("a", "b"))
    assert history.effects([once, once], [left]) == []
    assert "left 2 times, the log has 1" in "".join(history.effects([once, again], [left]))


def test_a_log_with_a_hole_or_an_older_epoch_is_noticed() -> None:
    whole = [created(1, "a"), created(2, "b", epoch=2)]
    assert history.sequences(whole) == []
    assert "3 follows 1" in "".join(history.sequences([created(1, "a"), created(3, "b")]))
    assert "after epoch 2" in "".join(history.sequences([*whole, created(3, "c", epoch=1)]))


def test_a_reader_who_missed_an_event_without_a_gap_is_noticed() -> None:
    log = [created(number, f"p{number}") for number in (1, 2, 3)]
    assert history.read("m/p/i", [("ProducerCreated", 1), ("ProducerCreated", 2), ("ProducerCreated", 3)], log) == []
    assert history.read("m/p/i", [("ProducerCreated", 1), ("gap", 2), ("ProducerCreated", 3)], log) == []
    assert "was not told of [2]" in "".join(
        history.read("m/p/i", [("ProducerCreated", 1), ("ProducerCreated", 3)], log)
    )
    assert "got ProducerCreated 2 after 3" in "".join(
        history.read("m/p/i", [("ProducerCreated", 3), ("ProducerCreated", 2)], log)
    )
