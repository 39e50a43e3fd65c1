"""The contract's regression test: what services said of each flow is what they say today, on a private deployment without media."""

import asyncio
import json
import signal
from pathlib import Path

from contracts.message import Command
from services.cli.recording.file import read
from services.cli.stack.process import Identity
from services.cli.stack.rundir import PROJECT, RunDirectory, Started
from services.kendra.handlers import HANDLERS
from tests.eventually import eventually
from tests.recordings.flows import FLOWS
from tests.recordings.made import HERE
from tests.recordings.running import program, replayed

FILES = sorted(HERE.glob("*.jsonl.zst"))
DRY = PROJECT / ".run" / "dry"
NOT_OF_MEETINGS = {"ListServers", "DrainServer", "UndrainServer"}


def test_each_flow_has_a_recording_and_each_command_about_a_meeting_is_in_one() -> None:
    assert [path.name.partition(".")[0] for path in FILES] == sorted(FLOWS)
    kept = [record for path in FILES for record in read(path).handled]
    wanted = {kind.__name__ for kind in HANDLERS if issubclass(kind, Command)} - NOT_OF_MEETINGS
    assert wanted - {record.envelope.type for record in kept if record.service == "kendra"} == set()


async def test_what_was_recorded_of_each_flow_comes_out_the_same_today() -> None:
    """A difference here is a change of the contract: if it is wanted, `make recordings` records the flows anew."""
    status, said = await replayed(None, "--dry", "--server", "--servers", "1", "--expect", "same", "--json", *FILES)
    answers = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert answers, said
    different = [one for each in answers[0]["recordings"] for one in each["meetings"] if not one["same"]]
    assert different == []
    assert status == 0
    sent = {Path(each["file"]).name: each["commands"] for each in answers[0]["recordings"]}
    assert set(sent) == {path.name for path in FILES}
    for path in FILES:
        kendras = [one for one in read(path).handled if one.service == "kendra" and one.reply_type is not None]
        assert sent[path.name] >= len(kendras)


async def test_a_dry_replay_that_is_interrupted_leaves_nothing() -> None:
    process = await program(None, "replay", "--dry", "--servers", "1", "--speed", "0.001", str(FILES[0]))

    async def whole() -> list[Path]:
        return [path for path in DRY.glob("*") if RunDirectory(path).holder() == process.pid and runs(path, 5)]

    try:
        (place,) = await eventually(whole, within=60)
        started = RunDirectory(place).state()[0]
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(40):
            await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 128 + signal.SIGINT
    assert not place.exists()
    assert [one["name"] for one in started if alive(one)] == []


def runs(path: Path, at_least: int) -> bool:
    """Say whether so many processes were started in a run directory: the services, a kendra and a media server."""
    return len(RunDirectory(path).state()[0]) > at_least


def alive(one: Started) -> bool:
    return Identity(one["pid"], one["started"]).process() is not None
