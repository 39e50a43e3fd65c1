"""What is sent of a recording, in which order, and what is left out because it could not be judged. Pure."""

import random
from uuid import uuid4

from contracts.actor import Actor
from services.cli.recording.plan import Plan, Why, plan_of
from tests.recordings.made import created, handled, stored

DONE = ("Done", {})


def sent(plan: Plan) -> list[str]:
    """Return the commands of all lines, line by line."""
    return [step.record.envelope.type for line in plan.lines for step in line.steps]


def left_out(plan: Plan) -> dict[Why, list[str]]:
    return {why: [record.envelope.type for record in records] for why, records in plan.left_out.items()}


def test_commands_stand_in_the_order_in_which_they_began_whatever_the_file_has() -> None:
    records = [created(), *(handled(f"Command{n}", DONE, at=n, took=10 - n) for n in range(1, 9))]
    random.Random(1).shuffle(records)
    plan = plan_of(records, [])
    assert sent(plan) == ["CreateMeeting", *(f"Command{n}" for n in range(1, 9))]
    assert [round(step.begun, 3) for step in plan.lines[0].steps] == list(range(9))


def test_meetings_have_lines_of_their_own_on_one_clock() -> None:
    plan = plan_of([created("one"), created("two", at=5), handled("GetMeeting", DONE, at=6, meeting="one")], [])
    assert [(line.key[1], [round(step.begun) for step in line.steps]) for line in plan.lines] == [
        ("one", [0, 6]),
        ("two", [5]),
    ]


def test_a_meeting_that_ran_before_is_left_out_and_one_that_was_refused_first_is_not() -> None:
    before = [handled("JoinMeeting", DONE, meeting="before"), created("found", repeated=True)]
    after = [handled("JoinMeeting", "meeting_not_found", meeting="after"), created("after", at=1)]
    plan = plan_of(before + after, [])
    assert [line.key[1] for line in plan.lines] == ["after"]
    assert sent(plan) == ["JoinMeeting", "CreateMeeting"]
    assert left_out(plan) == {Why.BEFORE: ["JoinMeeting", "CreateMeeting"]}


def test_notices_and_what_is_about_servers_is_recorded_and_not_sent() -> None:
    notice = handled("RelayEvents", DONE).model_copy(update={"reply_type": None})
    plan = plan_of([created(), notice, handled("DrainServer", DONE, meeting="-")], [])
    assert sent(plan) == ["CreateMeeting"]
    assert left_out(plan) == {Why.NOTICE: ["RelayEvents"], Why.SERVERS: ["DrainServer"]}


def test_a_repeat_stands_for_a_command_that_timed_out() -> None:
    same = uuid4()
    timed_out = handled("JoinMeeting", "deadline_exceeded", at=1, took=4, id_=same)
    plan = plan_of([created(), timed_out, handled("JoinMeeting", DONE, at=5, id_=same)], [])
    assert sent(plan) == ["CreateMeeting", "JoinMeeting"]
    assert plan.lines[0].steps[1].expected.type == "Done"
    assert left_out(plan) == {Why.REPEATED: ["JoinMeeting"]}


def test_what_a_media_server_carried_out_is_sent_for_its_effect_although_its_asker_heard_nothing() -> None:
    timed_out = handled("CreateProducer", "deadline_exceeded", at=1, took=4)
    done = handled("CreateProducer", ("ProducerCreated", {"id": "p1"}), at=2, within=timed_out, epoch=1)
    step = plan_of([created(), timed_out, done], []).lines[0].steps[1]
    assert (step.record.service, step.expected.body, step.compared) == ("kendra", {"id": "p1"}, False)


def test_what_nobody_knows_the_outcome_of_is_left_out() -> None:
    timed_out = handled("CreateProducer", "deadline_exceeded", at=1, took=4)
    refused = handled("CreateProducer", "stale_epoch", at=2, within=timed_out, epoch=1)
    plan = plan_of([created(), timed_out, refused, handled("LeaveMeeting", "unavailable", at=7)], [])
    assert sent(plan) == ["CreateMeeting"]
    assert left_out(plan) == {Why.UNKNOWN: ["CreateProducer", "LeaveMeeting"]}


def test_what_was_refused_for_good_is_sent_and_so_is_what_found_no_room() -> None:
    plan = plan_of([created(), handled("JoinMeeting", "meeting_full", at=1), handled("X", "no_capacity", at=2)], [])
    assert sent(plan) == ["CreateMeeting", "JoinMeeting", "X"]


def test_a_command_in_flight_at_the_end_is_told_of() -> None:
    never_ended = handled("CreateProducer", DONE, at=1)
    nested = handled("CreateProducer", ("ProducerCreated", {"id": "p"}), at=1.1, within=never_ended, epoch=1)
    plan = plan_of([created(), nested], [])
    assert sent(plan) == ["CreateMeeting"]
    assert left_out(plan) == {Why.IN_FLIGHT: ["CreateProducer"]}


def test_a_media_servers_commands_are_sent_only_when_asked_for_and_never_before_those_they_are_nested_in() -> None:
    outer = handled("CreateProducer", ("ProducerCreated", {"id": "p"}), at=1, actor=Actor())
    nested = handled("CreateProducer", ("ProducerCreated", {"id": "p"}), at=0.5, within=outer, epoch=1)
    records = [created(), outer, nested]
    assert [step.record.service for step in plan_of(records, []).lines[0].steps] == ["kendra", "kendra"]
    steps = plan_of(records, [], server=True).lines[0].steps
    assert [step.record.service for step in steps] == ["kendra", "kendra", "media"]
    assert steps[2].outer == outer.envelope.command_id


def test_what_kendra_did_by_itself_is_left_to_the_other_kendra() -> None:
    moving = handled("MoveMeeting", DONE, at=1)
    moved = handled("AllocateRouter", ("RouterAllocated", {"routerId": "r"}), at=1, within=moving, epoch=2)
    plan = plan_of([created(), moved], [], server=True)
    assert sent(plan) == ["CreateMeeting"]
    assert left_out(plan) == {}


def test_every_nested_command_of_a_real_recording_is_found_in_its_outer_one() -> None:
    recording = stored("leave_kick_end")
    steps = plan_of(recording.handled, recording.states, server=True).lines[0].steps
    nested = [step for step in steps if step.record.service == "media"]
    assert {step.record.envelope.type for step in nested} >= {"AllocateRouter", "CloseSeats", "CloseRouter"}
    assert all(step.outer is not None for step in nested)
