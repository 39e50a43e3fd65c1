"""`doordarshan explain --policy`, with a real kendra's decisions and a real database; and a kendra that places by a policy of its own."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rich.console import Console

from contracts.create_meeting import AllocateRouter
from contracts.details import Candidate, Decision, GetPlacement, PlacementExplained
from contracts.end_meeting import EndMeeting
from contracts.failure import Busy, NoCapacity
from contracts.ids import Epoch, MediaServerId
from contracts.servers import DrainServer
from services.cli.explain import explain, show_meeting
from services.cli.stack.errors import CannotRun
from services.cli.what_if.from_database import read
from services.cli.what_if.history import History
from services.cli.what_if.simulate import simulate
from services.kendra.policy import DEFAULT, parse
from services.testing.session import Broker, Cache, Database
from tests.eventually import eventually
from tests.services.kendra_peers import OPERATOR, Stage, staged

PACK = 'prefer = "pack"'


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker, redis: Cache) -> AsyncIterator[Stage]:
    async with staged(postgres, rabbitmq, redis) as stage:
        yield stage


async def history_of(stage: Stage, since: object = None) -> History:
    def reading() -> History:
        with psycopg.connect(stage.database.url) as connection:
            return read(connection, since)  # type: ignore[arg-type]

    return await asyncio.to_thread(reading)


async def test_what_a_kendra_decided_is_reproduced_and_another_policy_compared(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.kendra()
    first = await stage.server("ms1", 64, cpu=0.1)
    await stage.server("ms2", 64)
    for name in ("m1", "m2", "m3", "m4"):
        await stage.create(name)
    await stage.ask(EndMeeting(), "m2")
    first.refuse[AllocateRouter] = Busy()
    moved = await stage.create("m5")
    with pytest.raises(NoCapacity):
        await stage.create("too-large", 9, 9)
    first.refuse.clear()
    at = await stage.rows.fetchval("select clock_timestamp()")
    await stage.create("later", 2, 2)

    whole = await history_of(stage)
    same = simulate(whole, DEFAULT)
    assert same.differences == ()
    assert same.policy == same.happened
    assert (same.happened.placed, same.happened.refused) == (6, 1)
    assert same.happened.moved == (1 if moved.epoch == 2 else 0)
    packed = simulate(whole, parse(PACK))
    assert packed.differences
    assert all(load.peak <= 1 for load in packed.policy.servers)

    tail = await history_of(stage, at)
    assert [step.key.meeting for step in tail.steps] == ["later"]
    assert {key.meeting for key in tail.begins} == {"m1", "m3", "m4", "m5"}
    assert simulate(tail, DEFAULT).differences == ()

    (tmp_path / "pack.toml").write_text(PACK)
    monkeypatch.setenv("DOORDARSHAN_POSTGRES_URL", stage.database.url)
    monkeypatch.setenv("COLUMNS", "200")

    def shown(**what: Any) -> str:
        capsys.readouterr()
        explain(**what)
        return capsys.readouterr().out

    told = shown(policy=tmp_path / "pack.toml", since="1h", json=True)
    assert json.loads(told)["policy"]["placed"] == packed.policy.placed
    table = shown(policy=tmp_path / "pack.toml")
    assert "peak of all servers" in table
    assert "ms2: peak" in table
    assert "lowest utilization" in shown(server="ms2")
    with pytest.raises(CannotRun, match="no meeting lives on ms9"):
        shown(server="ms9")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"policy": Path("nowhere.toml")}, "nowhere.toml cannot be read"),
        ({"policy": Path("pack.toml"), "since": "soon"}, "'soon' is no time"),
        ({"policy": Path("pack.toml"), "recording": Path("nowhere.jsonl")}, "cannot read nowhere.jsonl"),
        ({"meeting": "standup", "server": "ms1"}, "name one of: a meeting, --server NAME, --policy FILE"),
        ({}, "name one of"),
    ],
)
def test_what_cannot_be_explained_is_one_line(
    what: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pack.toml").write_text(PACK)
    with pytest.raises(CannotRun, match=re.escape(said)) as refused:
        explain(**what)
    assert "\n" not in str(refused.value)


def test_a_meeting_is_explained_with_what_made_it_move(capsys: pytest.CaptureFixture[str]) -> None:
    def seen(name: str, rejected: str | None = None) -> Candidate:
        return Candidate(
            media_server_id=MediaServerId(name),
            capacity=100,
            booked=10,
            cpu=0.1,
            egress=0.0,
            utilization=0.1,
            rejected=rejected,
        )

    def decided(epoch: int, chosen: str | None, *candidates: Candidate) -> Decision:
        went = MediaServerId(chosen) if chosen else None
        at = datetime(2026, 11, 22, 12, epoch, tzinfo=UTC)
        return Decision(at=at, epoch=Epoch(epoch), streams=16, chosen=went, reason="so", candidates=[*candidates])

    console = Console(width=200)
    show_meeting(
        console,
        [
            decided(1, "ms1", seen("ms1"), seen("ms2")),
            decided(2, "ms2", seen("ms2"), seen("ms1", "draining")),
            decided(3, "ms3", seen("ms3"), seen("ms1", "draining")),
            decided(3, None, seen("ms3", "silent for 7.0 s")),
            decided(4, "ms1", seen("ms1")),
        ],
    )
    lines = [line for line in capsys.readouterr().out.splitlines() if "epoch" in line]
    assert [line.partition("streams")[2] for line in lines] == [
        " → ms1: so",
        " from ms1 (draining) → ms2: so",
        " from ms2 (gone) → ms3: so",
        " from ms3 (silent for 7.0 s) → nowhere: so",
        " → ms1: so",
    ]


async def test_a_meeting_that_left_a_drained_server_says_how_long_its_router_goes_on_there(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    await stage.kendra(keep_router=60.0)
    await stage.server("ms1")
    await stage.create("standup")
    await stage.join("standup", "asha")
    await stage.server("ms2")

    async def explained() -> PlacementExplained:
        return await stage.ask(GetPlacement(), "standup")

    async def is_kept() -> bool:
        return (await explained()).kept is not None

    async def shown() -> str:
        capsys.readouterr()
        answer = await explained()
        show_meeting(Console(width=200), answer.decisions, answer.kept)
        return capsys.readouterr().out.splitlines()[-1]

    assert "forwards" not in await shown()
    await stage.ask(DrainServer(media_server_id=MediaServerId("ms1"), deadline_seconds=600), "-", OPERATOR)
    await eventually(is_kept)
    until = await stage.rows.fetchval("select keep_until from meetings")
    assert await shown() == (
        f"ms1 is left: its router of epoch 1 forwards until {until:%H:%M:%S}, or until everybody has moved"
    )
    await stage.rows.execute("delete from allocations where server = 'ms1'")  # as its server does when all have moved
    assert "forwards" not in await shown()


async def test_a_kendra_places_by_the_policy_it_was_given(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "pack.toml").write_text(f"{PACK}\n[servers.ms1]\navoid = true")
    await stage.kendra(policy=tmp_path / "pack.toml")
    for name in ("ms1", "ms2", "ms3"):
        await stage.server(name)
    placed = [await stage.create(f"m{n}") for n in range(3)]
    assert {one.media_server_id for one in placed} <= {"ms2", "ms3"}
    assert len({one.media_server_id for one in placed}) == 1
    mine = simulate(await history_of(stage), parse((tmp_path / "pack.toml").read_text()))
    assert mine.differences == ()


def test_a_kendra_with_a_bad_policy_says_so_and_ends(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("headroom = 2")
    urls = {f"DOORDARSHAN_{name}_URL": "amqp://127.0.0.1:1/" for name in ("AMQP", "REDIS", "POSTGRES")}
    urls |= {"DOORDARSHAN_POSTGRES_URL": "postgresql://127.0.0.1:1/x", "DOORDARSHAN_REDIS_URL": "redis://127.0.0.1:1"}
    environment = os.environ | urls | {"DOORDARSHAN_POLICY": str(tmp_path / "bad.toml")}
    line = [sys.executable, "-m", "services.cli.main", "kendra"]
    ended = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 1
    assert "bad.toml: headroom: Input should be less than 1" in ended.stderr
