"""Recording a running system: what is in the file, what is not, and what its recorder says."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import zstandard

from contracts.handled import Handled
from services.cli.recording.file import Writer, read
from services.cli.recording.lines import Footer
from services.cli.recording.plan import Why, plan_of
from services.cli.stack.errors import CannotRun
from services.testing.system import System
from tests.eventually import eventually
from tests.flows.people import Meeting, call_of_two, opus
from tests.recordings.flows import transport_of
from tests.recordings.made import BEGUN, created, lines_of, stored, write_lines
from tests.recordings.running import recording

SECRET = re.compile(r'"\w*(?:[pP]assword|[cC]redential|[sS]ecret|[tT]oken)":\s*(?!"\*\*\*"|null)[^,}]+')


async def test_a_call_is_recorded_whole_and_without_its_secrets(system: System, tmp_path: Path) -> None:
    meeting, file = Meeting(system), tmp_path / "call.jsonl"
    async with recording(system.tool_amqp_url, file) as recorder:
        async with call_of_two(meeting) as (asha, _):
            answer: Any = await transport_of(asha.api, asha.mine, "send")
            restarted: Any = await asha.api.post(f"{asha.mine}/transports/{answer['id']}/restart-ice")
            token = asha.api.token
            order: Any = {"transportId": answer["id"], "kind": "audio", "rtpParameters": opus(77)}
            await asha.api.post(f"{asha.mine}/producers", {**order, "appData": {"mine": token}})
        said = await recorder.end()
    await meeting.end()
    text = file.read_text()
    secrets = [answer["iceParameters"]["password"], restarted["iceParameters"]["password"], token, meeting.admin.token]
    assert [secret for secret in secrets if secret in text] == []
    assert SECRET.findall(text) == []
    assert '"password":"***"' in text
    assert file.stat().st_mode & 0o077 == 0
    got = read(file)
    assert got.holes_of(("kendra", "media")) == []
    assert f"{len(got.handled)} commands" in said
    assert "no holes" in said
    mine = [one for one in got.handled if one.envelope.meeting == meeting.id]
    assert {one.service for one in mine} == {"kendra", "media"}
    assert {one.envelope.type for one in mine} >= {
        "CreateMeeting",
        "JoinMeeting",
        "CreateConsumer",
        "ReplaceTransports",
    }
    (state,) = [one for one in got.states if one.meeting == meeting.id]
    assert isinstance(state.details, dict)
    people: Any = state.details["participants"]
    assert {one["participantId"] for one in people} == {"asha", "ravi"}


async def test_only_the_meetings_that_are_named_are_written_compressed_if_the_name_says_so(
    system: System, tmp_path: Path
) -> None:
    wanted, other, file = Meeting(system), Meeting(system), tmp_path / "one.jsonl.zst"
    async with recording(system.tool_amqp_url, file, "--meeting", wanted.id, "--tenant", "demo") as recorder:
        for meeting in (wanted, other):
            await meeting.create()
            await meeting.admin.delete(meeting.path)
        said = await recorder.end(signal.SIGTERM)
        assert recorder.status == 0
    for meeting in (wanted, other):
        await meeting.end()
    assert file.read_bytes().startswith(zstandard.FRAME_HEADER)
    got = read(file)
    assert {one.envelope.meeting for one in got.handled} == {wanted.id}
    assert (got.header.tenant, got.header.meetings, got.header.contract_version) == ("demo", [wanted.id], 1)
    assert [(one.meeting, one.details) for one in got.states] == [(wanted.id, None)]
    assert got.holes_of(("kendra", "media")) == []
    assert "1 meetings" in said


async def test_it_ends_by_itself_after_the_seconds_given_and_never_overwrites(system: System, tmp_path: Path) -> None:
    file = tmp_path / "short.jsonl"
    async with recording(system.tool_amqp_url, file, "--seconds", "0.1") as recorder:
        await recorder.ended()
        assert recorder.status == 0
    before = file.read_bytes()
    with pytest.raises(CannotRun, match="exists already"):
        Writer(file)
    assert file.read_bytes() == before


async def test_a_recorder_that_is_killed_leaves_what_it_had_and_no_footer(system: System, tmp_path: Path) -> None:
    meeting, file = Meeting(system), tmp_path / "killed.jsonl.zst"
    async with recording(system.tool_amqp_url, file, "--meeting", meeting.id) as recorder:
        await meeting.create()

        async def written() -> list[Handled]:
            return read(file).handled

        await eventually(written, within=10)
        recorder.process.kill()
        await recorder.ended()
    await meeting.end()
    got = read(file)
    assert got.handled[-1].envelope.type == "CreateMeeting"
    assert got.holes_of(("kendra",)) == ["it ends without a footer: its recorder did not stop in order"]


def test_a_disk_that_is_full_is_a_clear_line() -> None:
    writer = Writer(Path("/dev/full"))
    writer.write_json("x")
    with pytest.raises(CannotRun, match="No space left on device"):
        writer.flush()
    writer.abandon()


@pytest.mark.parametrize("name", ["no/such/directory.jsonl", "."])
def test_a_file_that_cannot_be_made_is_a_clear_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(CannotRun, match="cannot write"):
        Writer(tmp_path / name)


@pytest.mark.parametrize("suffix", ["", ".zst"])
def test_what_was_written_is_what_is_read(tmp_path: Path, suffix: str) -> None:
    recorded = stored("create_producer")
    writer = Writer(tmp_path / f"copy.jsonl{suffix}")
    for line in lines_of(recorded):
        writer.write_json(line)
    writer.close()
    copy = read(writer.path)
    assert (copy.header, copy.handled, copy.states, copy.footer) == (
        recorded.header,
        recorded.handled,
        recorded.states,
        recorded.footer,
    )


@pytest.mark.parametrize("suffix", ["", ".zst"])
def test_a_recording_that_is_cut_anywhere_is_read_up_to_there(tmp_path: Path, suffix: str) -> None:
    whole = tmp_path / f"whole.jsonl{suffix}"
    writer = Writer(whole)
    for line in lines_of(stored("create_meeting")):
        writer.write_json(line)
        writer.flush()
    writer.close()
    content, cut = whole.read_bytes(), tmp_path / f"cut.jsonl{suffix}"
    for share in (0.5, 0.7, 0.9):
        cut.write_bytes(content[: int(len(content) * share)])
        got = read(cut)
        assert 0 < len(got.handled) <= len(stored("create_meeting").handled)
        assert got.footer is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is empty"),
        ("hello\n", "line 1 is no line"),
        (
            '{"kind": "footer", "ended": "2026-01-01T00:00:00Z", "commands": 0, "meetings": 0, "holes": 0, "lost": 0}\n',
            "begin",
        ),
        ('{"kind": "header", "format": 99, "begun": "2026-01-01T00:00:00Z"}\n', "format 99"),
        ('{"kind": "header", "begun": "2026-01-01T00:00:00Z"}\n{"number": 1}\n{}\n', "line 2 is no line"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_line(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "x.jsonl").write_text(content)
    with pytest.raises(CannotRun, match=why):
        read(tmp_path / "x.jsonl")


def test_a_line_break_within_a_command_is_none_in_the_file(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "x.jsonl")
    writer.write_json(json.loads('{"a":\n"b\\nc"}'))
    writer.close()
    assert len(writer.path.read_text().splitlines()) == 1


def test_a_process_that_was_not_heard_since_the_broker_was_away_may_have_lost_something(tmp_path: Path) -> None:
    footer = Footer(ended=BEGUN, commands=1, meetings=1, holes=0, lost=0, unheard=["kendra abc", "media m.1"])
    lines = [*lines_of(stored("create_meeting"))[:1], created().model_dump(mode="json", by_alias=True)]
    got = read(write_lines(tmp_path / "x.jsonl", [*lines, footer.model_dump(mode="json", by_alias=True)]))
    assert got.holes_of(("kendra",)) == ["kendra abc was not heard again after the broker was away"]
    assert Why.BEFORE not in plan_of(got.handled, got.states).left_out
