"""A recording of commands as a history: who was placed where, when it was over, and what the servers were known to be."""

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import JsonValue

from contracts.details import Unfit
from contracts.handled import Envelope, Handled
from contracts.ids import Epoch, MeetingId, TenantId
from services.cli.recording.file import read as recorded
from services.cli.stack.errors import CannotRun
from services.cli.what_if.from_recording import read
from services.cli.what_if.history import Decided, Ended, History
from services.cli.what_if.simulate import simulate
from services.kendra.policy import DEFAULT, parse

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CAPACITY: JsonValue = {"capacity": {"participants": 4, "producers": 5}}
ROUTER: JsonValue = {"routerId": "r", "workerId": "w"}
KENDRA = "kendra.commands"
RECORDINGS = Path(__file__).parents[1] / "recordings"
_numbers = count(1)


def handled(  # noqa: PLR0917
    queue: str, type: str, meeting: str, command: JsonValue, reply_type: str, reply: JsonValue, epoch: int = 1
) -> Handled:
    number = next(_numbers)
    envelope = Envelope(
        type=type,
        command_id=uuid4(),
        tenant=TenantId("acme"),
        meeting=MeetingId(meeting),
        epoch=Epoch(epoch),
        remaining_ms=1,
        body_hash="0" * 64,
        traceparent="",
    )
    service = "kendra" if queue == KENDRA else "media"
    return Handled(
        number=number,
        service=service,
        process="p",
        queue=queue,
        at=NOON + timedelta(seconds=number),
        seconds=0.01,
        envelope=envelope,
        command=command,
        reply_type=reply_type,
        reply=reply,
    )


def allocated(server: str, meeting: str, epoch: int = 1) -> Handled:
    return handled(f"media.{server}.b1.commands", "AllocateRouter", meeting, CAPACITY, "RouterAllocated", ROUTER, epoch)


def refused(server: str, meeting: str) -> Handled:
    body: JsonValue = {"code": "busy", "reason": "no"}
    return handled(f"media.{server}.b1.commands", "AllocateRouter", meeting, CAPACITY, "Failure", body)


def ended(meeting: str) -> Handled:
    return handled(KENDRA, "EndMeeting", meeting, {}, "Done", {})


def no_capacity(meeting: str) -> Handled:
    return handled(KENDRA, "CreateMeeting", meeting, CAPACITY, "Failure", {"code": "no_capacity", "reason": "full"})


def listed(**capacities: int) -> Handled:
    servers: list[JsonValue] = [
        {
            "mediaServerId": name,
            "bootId": "b1",
            "address": "127.0.0.1",
            "live": True,
            "draining": False,
            "capacity": capacity,
            "booked": 0,
            "cpu": 0.0,
            "egress": 0.0,
            "meetings": 0,
            "renewedAt": NOON.isoformat(),
        }
        for name, capacity in capacities.items()
    ]
    return handled(KENDRA, "ListServers", "-", {}, "ServersListed", {"servers": servers})


def drained(server: str) -> Handled:
    return handled(KENDRA, "DrainServer", "-", {"mediaServerId": server}, "Done", {})


def placed(history: History) -> list[tuple[str, str | None]]:
    return [(step.key.meeting, step.decision.chosen) for step in history.steps if isinstance(step, Decided)]


def seen(history: History, step: int, server: str) -> tuple[int, Unfit | None]:
    decided = history.steps[step]
    assert isinstance(decided, Decided)
    return next((one.booked, one.unfit) for one in decided.decision.candidates if one.media_server_id == server)


def test_who_was_placed_where_and_what_was_booked_then() -> None:
    records = [listed(a=100, b=100), allocated("a", "m1"), allocated("b", "m2"), ended("m1"), no_capacity("m3")]
    history = read(records, None)
    assert placed(history) == [("m1", "a"), ("m2", "b"), ("m3", None)]
    assert [type(step) for step in history.steps] == [Decided, Decided, Ended, Decided]
    assert (seen(history, 1, "a"), seen(history, 3, "a"), seen(history, 3, "b")) == ((20, None), (0, None), (20, None))


def test_a_command_that_was_repeated_is_one_placement() -> None:
    assert placed(read([allocated("a", "m1"), allocated("a", "m1")], 100)) == [("m1", "a")]


def test_why_a_meeting_left_its_server_is_seen_in_what_came_before() -> None:
    refusal = read([refused("a", "m1"), allocated("b", "m1", 2)], 100)
    assert seen(refusal, 0, "a") == (0, Unfit.TRIED)
    drain = read([allocated("a", "m1"), allocated("b", "m2"), drained("a"), allocated("b", "m1", 2)], 100)
    assert seen(drain, 2, "a") == (20, Unfit.DRAINING)
    death = read([allocated("a", "m1"), allocated("b", "m2"), allocated("b", "m1", 2)], 100)
    assert seen(death, 2, "a") == (20, Unfit.SILENT)


def test_a_router_that_was_closed_ends_its_meeting_only_where_it_lived() -> None:
    def closed(server: str) -> Handled:
        return handled(f"media.{server}.b1.commands", "CloseRouter", "m1", {}, "Done", {})

    assert len(read([allocated("a", "m1"), allocated("b", "m1", 2), closed("a")], 100).steps) == 2
    assert isinstance(read([allocated("a", "m1"), closed("a")], 100).steps[-1], Ended)


def test_without_a_listing_the_capacity_must_be_named() -> None:
    with pytest.raises(CannotRun, match="does not say how much a, b can take: name it with --capacity"):
        read([allocated("a", "m1"), allocated("b", "m2")], None)


def test_todays_policy_places_a_quiet_clusters_recording_as_it_was() -> None:
    records = [listed(a=100, b=60), *(allocated(server, f"m{n}") for n, server in enumerate("abab")), ended("m0")]
    found = simulate(read(records, None), DEFAULT)
    assert found.differences == ()
    assert found.policy == found.happened
    packed = simulate(read(records, None), parse('prefer = "pack"'))
    assert {load.server: load.peak_booked for load in packed.policy.servers} == {"a": 20, "b": 60}, "the smaller first"


@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("*.jsonl*")), ids=lambda path: path.stem)
def test_what_a_real_cluster_said_is_a_history(path: Path) -> None:
    history = read(recorded(path).handled, 1024)
    found = simulate(history, DEFAULT)
    assert found.happened.placed >= 1
    assert found.happened.peak > 0
    assert found.policy.placed + found.policy.refused >= found.happened.placed
