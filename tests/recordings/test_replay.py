"""Replaying into a running deployment that counts differently: the same comes out, once; what is changed on purpose is told."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.cli.participant.api import Api
from services.cli.recording.file import Recording
from services.cli.recording.plan import Expected, Key, plan_of
from services.cli.recording.replaying import LineOutcome, Replaying
from services.cli.recording.sender import Order, Sender
from services.testing.system import System
from tests.recordings.made import afresh, created, handled, lines_of, stored, write_lines
from tests.recordings.running import replayed

TABLES = ("meetings", "participants", "allocations", "transports", "producers", "consumers", "events", "placements")
SWEPT = ["idle_since", "seen_at", "connected"]
"""What a sweep may write at any time."""


@asynccontextmanager
async def replaying_to(system: System) -> AsyncIterator[Sender]:
    sender = Sender(system.tool_amqp_url, "replay-test")
    await sender.start()
    try:
        yield sender
    finally:
        await sender.stop()


async def replay(system: System, recording: Recording) -> LineOutcome:
    """Replay a recording of one meeting, as fast as it goes."""
    async with replaying_to(system) as sender:
        (outcome,) = await Replaying(sender, None).run(plan_of(recording.handled, recording.states))
        return outcome


async def rows(system: System, meeting: str) -> dict[str, list[Any]]:
    """Return everything that the database has of a meeting."""
    found = {}
    for table in TABLES:
        statement = f"select to_jsonb(t) - $2::text[] as row from {table} t where meeting = $1 order by 1"  # noqa: S608
        found[table] = [row["row"] for row in await system.postgres.fetch(statement, meeting, SWEPT)]
    return found


@asynccontextmanager
async def used_meeting(system: System) -> AsyncIterator[str]:
    """Give a meeting whose first numbers were used up by an earlier life of it; end it afterwards."""
    meeting = f"replayed-{uuid4().hex[:10]}"
    api = Api(system.url, system.token(meeting=meeting), budget=10)
    await api.post("/v1/meetings", {"meetingId": meeting})
    for name in ("somebody", "else"):
        await api.post(f"/v1/meetings/{meeting}/join", {"participantId": name, "instanceId": name})
    await api.delete(f"/v1/meetings/{meeting}")
    try:
        yield meeting
    finally:
        if any(
            row["ended_at"] is None
            for row in await system.postgres.fetch("select ended_at from meetings where meeting = $1", meeting)
        ):
            await api.delete(f"/v1/meetings/{meeting}")
        await api.close()


@pytest.mark.parametrize("flow", ["create_consumer", "join_meeting", "leave_kick_end"])
async def test_the_same_comes_out_elsewhere_and_a_second_replay_changes_nothing(system: System, flow: str) -> None:
    async with used_meeting(system) as meeting:
        recording = afresh(stored(flow), meeting)
        first = await replay(system, recording)
        assert (first.different, first.end, first.end_known) == ([], [], True)
        assert first.sent == len([one for one in recording.handled if one.service == "kendra"])
        assert not first.before
        before = await rows(system, meeting)
        assert len(before["events"]) > len(recording.states)
        second = await replay(system, recording)
        assert second.before
        assert second.same
        assert await rows(system, meeting) == before


async def test_ids_are_those_of_this_deployment_and_the_end_has_the_recorded_people(system: System) -> None:
    async with used_meeting(system) as meeting:
        recording = afresh(stored("create_producer"), meeting)
        outcome = await replay(system, recording)
        assert outcome.same
        now = await rows(system, meeting)
    recorded: Any = recording.states[0].details
    assert len(now["producers"]) == len(recorded["producers"]) == 3
    ours = {json.loads(row)["id"] if isinstance(row, str) else row["id"] for row in now["producers"]}
    assert not ours & {one["id"] for one in recorded["producers"]}
    (third,) = [one for one in now["producers"] if "screen" in str(one)]
    data = (json.loads(third) if isinstance(third, str) else third)["app_data"]
    assert (json.loads(data) if isinstance(data, str) else data)["follows"] in ours


async def test_a_meeting_that_others_run_there_is_left_alone(system: System) -> None:
    async with used_meeting(system) as meeting:
        api = Api(system.url, system.token(meeting=meeting), budget=10)
        await api.post("/v1/meetings", {"meetingId": meeting, "capacity": {"participants": 2, "producers": 32}})
        before = await rows(system, meeting)
        outcome = await replay(system, afresh(stored("join_meeting"), meeting))
        assert outcome.refused == "it runs there already, and not by this recording"
        now = await rows(system, meeting)
        assert {table: now[table] for table in TABLES} == before
        await api.close()


def with_a_changed_reply(recording: Recording, path: Path) -> Path:
    """Write a recording in which kendra had once answered a list of producers without the last, and the meeting had ended."""
    lines = lines_of(recording)
    (listed,) = [line for line in lines if line.get("replyType") == "ProducersListed"]
    listed["reply"]["producers"][0]["paused"] = True
    (state,) = [line for line in lines if line.get("kind") == "state"]
    state["details"] = None
    return write_lines(path, lines)


async def test_a_changed_reply_and_another_end_are_told_and_the_exit_status_says_so(
    system: System, tmp_path: Path
) -> None:
    options = ("--speed", "max", "--expect", "same")
    async with used_meeting(system) as meeting:
        changed = with_a_changed_reply(afresh(stored("create_producer"), meeting), tmp_path / "changed.jsonl")
        status, said = await replayed(system.tool_amqp_url, *options, changed)
        assert status == 1
        assert "ListProducers of ravi" in said
        assert "paused  true → false" in said
        assert "meeting  not running → running" in said
        assert "1 replies differ, 1 end states differ" in said


async def test_without_an_expectation_differences_are_told_all_the_same_for_machines_too(
    system: System, tmp_path: Path
) -> None:
    async with used_meeting(system) as meeting:
        changed = with_a_changed_reply(afresh(stored("create_producer"), meeting), tmp_path / "changed.jsonl")
        status, said = await replayed(system.tool_amqp_url, "--speed", "max", "--json", changed)
    assert status == 0
    (line,) = [line for line in said.splitlines() if line.startswith("{")]
    told = json.loads(line)
    assert told["same"] is False
    (one,) = told["recordings"][0]["meetings"]
    assert (one["meeting"], one["same"]) == (meeting, False)
    (reply,) = one["replies"]
    assert (reply["command"], reply["participant"]) == ("ListProducers", "ravi")
    (place,) = reply["differences"]
    assert place["path"].endswith(".paused")
    assert (place["recorded"], place["replayed"]) == (True, False)
    assert one["end"] == [{"path": "meeting", "recorded": "not running", "replayed": "running"}]


class Answering:
    """A deployment that answers everything as recorded, slowly, and notes what it was asked and when."""

    def __init__(self, replies: dict[str, Expected]) -> None:
        self.replies, self.asked, self.inside = replies, [], 0
        self.most_inside: dict[Key, int] = {}
        self._inside: dict[Key, int] = {}

    asked: list[tuple[str, str, float]]

    async def meeting(self, _: Key) -> Expected | None:
        return None

    async def send(self, order: Order) -> Expected:
        key = (order.call.tenant, order.call.meeting)
        self.asked.append((order.call.meeting, order.type, time.monotonic()))
        self._inside[key] = self._inside.get(key, 0) + 1
        self.most_inside[key] = max(self.most_inside.get(key, 0), self._inside[key])
        await asyncio.sleep(0.01)
        self._inside[key] -= 1
        return self.replies[str(order.call.command_id)]


async def test_commands_of_a_meeting_go_one_after_the_other_meetings_side_by_side_and_not_before_their_time() -> None:
    records = [created(name, at=start) for name, start in (("one", 0.0), ("two", 0.05))]
    for number in range(1, 6):
        for name in ("one", "two"):
            records.append(handled(f"Command{number}", ("Done", {}), at=number * 0.2, took=2.0, meeting=name))
    replies = {str(one.envelope.command_id): Expected(one.reply_type or "", one.reply) for one in records}
    there = Answering(replies)
    begun = time.monotonic()
    outcomes = await Replaying(there, 4.0).run(plan_of(reversed(records), []))  # type: ignore[arg-type]
    assert [(outcome.key[1], outcome.sent, outcome.same) for outcome in outcomes] == [
        ("one", 6, True),
        ("two", 6, True),
    ]
    for name in ("one", "two"):
        order = [command for meeting, command, _ in there.asked if meeting == name]
        assert order == ["CreateMeeting", *(f"Command{number}" for number in range(1, 6))]
    meetings = [meeting for meeting, _, _ in there.asked]
    assert meetings != sorted(meetings)
    assert set(there.most_inside.values()) == {1}
    for _, command, at in there.asked:
        if command != "CreateMeeting":
            assert at - begun >= int(command[-1]) * 0.2 / 4 - 0.005
