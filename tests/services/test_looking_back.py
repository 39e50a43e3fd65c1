"""What an operator sees of what was, and of what is kept: `doordarshan history` and `doordarshan status` on a database elsewhere."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.create_producer import CreateProducer
from contracts.ids import InstanceId, ParticipantId, TransportId
from contracts.join_meeting import JoinMeeting
from contracts.leave_meeting import KickParticipant
from contracts.rtp import Kind
from services.cli import sizes
from services.cli.history.command import history
from services.cli.moments import lasting, moment
from services.cli.stack.errors import CannotRun
from services.cli.status import status
from services.kendra.settings import Settings
from services.kendra.store.forgetting import Kept
from services.testing.session import Broker, Cache, Database
from tests.services.kendra_peers import INVITED, Stage, holder, staged
from tests.services.media_server_peers import opus

Say = Callable[..., Any]


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker, redis: Cache) -> AsyncIterator[Stage]:
    async with staged(postgres, rabbitmq, redis) as opened:
        await opened.server("ms1")
        await opened.kendra()
        yield opened


@pytest.fixture
def say(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command on the test's database; return what it printed."""
    monkeypatch.setenv("DOORDARSHAN_POSTGRES_URL", stage.database.url)
    monkeypatch.setenv("COLUMNS", "200")

    async def run(command: Callable[..., None], *words: Any, **options: Any) -> str:
        capsys.readouterr()
        await asyncio.to_thread(command, *words, **options)
        return capsys.readouterr().out

    return run


async def call_of_two(stage: Stage) -> list[datetime]:
    """Have a call begin, and somebody be thrown out; return when each of its five events was."""
    await stage.create("standup", 4, 4)
    join = JoinMeeting(
        participant_id=ParticipantId("asha"), instance_id=InstanceId("1"), display_name="Asha [red]\x1b[2J"
    )
    asha = holder(await stage.ask(join, "standup", INVITED))
    await stage.join("standup", "ravi")
    produce = CreateProducer(transport_id=TransportId("t"), kind=Kind.AUDIO, rtp_parameters=opus())
    await stage.ask(produce, "standup", asha)
    await stage.ask(KickParticipant(participant_id=ParticipantId("ravi")), "standup")
    rows = await stage.rows.fetch("select at from events order by sequence")
    return [row["at"] for row in rows]


async def test_a_meeting_is_shown_as_it_was_with_what_happened_around(stage: Stage, say: Say) -> None:
    *_, produced, _ = times = await call_of_two(stage)
    then = json.loads(await say(history, "standup", at=produced.isoformat(), json=True))
    assert (then["tenant"], then["meetingId"], then["lastEventId"], then["state"]) == ("acme", "standup", 4, "placed")
    assert (then["epoch"], then["mediaServerId"], then["capacity"]) == (1, "ms1", {"participants": 4, "producers": 4})
    assert [(one["participantId"], one["seat"]) for one in then["participants"]] == [("asha", 2), ("ravi", 3)]
    [sent] = then["producers"]
    assert (sent["participantId"], sent["kind"], sent["paused"]) == ("asha", "audio", False)
    assert [one["id"] for one in then["before"]] == [1, 2, 3, 4]
    assert [(one["id"], one["type"], one["body"]["reason"]) for one in then["after"]] == [
        (5, "ParticipantLeft", "kicked")
    ]

    text = await say(history, "standup", at=produced.isoformat(), around=2)
    assert "on ms1, epoch 1, 4 participants × 4 producers" in text
    assert "Asha [red]\N{REPLACEMENT CHARACTER}[2J" in text, "what a client says reaches the terminal as text"
    before, _, after = text.partition("after")
    assert ["ParticipantJoined" in before, "MeetingCreated" in before] == [True, False]
    assert "kicked" in after
    now = json.loads(await say(history, "standup", json=True))
    assert (now["lastEventId"], [one["participantId"] for one in now["participants"]]) == (5, ["asha"])
    assert now["at"] == times[-1].isoformat()


async def test_what_cannot_be_told_is_said_and_why(stage: Stage, say: Say) -> None:
    times = await call_of_two(stage)
    with pytest.raises(CannotRun, match=r"there was no meeting standup yet: it begins at 2\d{3}-"):
        await say(history, "standup", at=(times[0] - timedelta(milliseconds=1)).isoformat())
    with pytest.raises(CannotRun, match="there is no meeting nowhere"):
        await say(history, "nowhere")
    with pytest.raises(CannotRun, match="there is no meeting standup"):
        await say(history, "standup", tenant="other")
    ago = await stage.rows.fetchval("select extract(epoch from clock_timestamp() - $1::timestamptz)", times[3])
    kept = Kept(steps=60.0, placements=60.0, events=float(ago), meetings=60.0)
    await stage.kendras[0].world.store.forgetting.everything(kept)
    with pytest.raises(CannotRun, match="what was before is forgotten"):
        await say(history, "standup", at=times[1].isoformat())
    then = json.loads(await say(history, "standup", at=times[3].isoformat(), json=True))
    assert (then["lastEventId"], then["participants"][0]["displayName"]) == (4, "Asha [red]\x1b[2J")
    await stage.rows.execute("insert into event_heads (tenant, meeting) values ('other', 'standup')")
    await stage.rows.execute(
        "insert into meetings (tenant, meeting, participants, producers, epoch) values ('other', 'standup', 1, 1, 1)"
    )
    with pytest.raises(CannotRun, match="say --tenant acme or other"):
        await say(history, "standup")


async def test_a_log_that_begins_anew_after_a_restore_tells_from_then_on(stage: Stage, say: Say) -> None:
    """Redis was ahead: what the log lost is not known, but the tables are as they were."""
    times = await call_of_two(stage)
    await stage.rows.execute("select reset_log('acme', 'standup', 40)")
    await stage.join("standup", "meera")
    now = json.loads(await say(history, "standup", json=True))
    assert [(one["participantId"], one["seat"]) for one in now["participants"]] == [("asha", 2), ("meera", 43)]
    with pytest.raises(CannotRun, match="what was before is forgotten"):
        await say(history, "standup", at=times[-1].isoformat())


async def test_status_shows_each_table_of_a_database_elsewhere_with_what_is_kept_of_it(stage: Stage, say: Say) -> None:
    await call_of_two(stage)
    await stage.rows.execute("update steps set at = now() - interval '3 hours'; analyze")
    lines = {line.split()[0]: line for line in (await say(status)).splitlines() if line.strip()}
    tables = [
        row["relname"]
        for row in await stage.rows.fetch("select relname from pg_stat_user_tables where relname !~ 'yoyo'")
    ]
    assert set(tables) == set(sizes.RETENTION), "each table has its retention"
    assert lines.keys() >= set(tables)
    assert " 3 h " in lines["steps"]
    assert "24 h (STEPS_KEPT)" in lines["steps"]
    assert "30 d after the end (MEETINGS_KEPT)" in lines["meetings"]
    assert lines["events"].split()[1] == "5"
    assert "ms1" in lines


async def test_a_database_that_does_not_answer_is_one_line_and_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOORDARSHAN_POSTGRES_URL", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(SystemExit):
        await asyncio.to_thread(status)
    assert "the database does not answer" in capsys.readouterr().out


def test_the_times_that_are_shown_are_those_of_the_services() -> None:
    for name, seconds in sizes.DEFAULTS.items():
        assert Settings.model_fields[name.lower()].default == seconds, name
    assert {setting for setting, _ in sizes.RETENTION.values()} - {""} <= set(sizes.DEFAULTS)


def test_times_are_said_and_shown_as_people_do() -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert moment("10m ago", noon) == noon - timedelta(minutes=10)
    assert [lasting(seconds) for seconds in (0.25, 42, 150, 7200, 200_000)] == ["0.2 s", "42 s", "2 min", "2 h", "2 d"]
    with pytest.raises(CannotRun, match="is no time"):
        moment("999999d", noon)
