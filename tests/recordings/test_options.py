"""What the options of `replay` mean, and what is refused before anything is started."""

from pathlib import Path

import pytest

from services.cli.recording.dry import DryRun
from services.cli.recording.replay import replay, speed_of
from services.cli.stack.errors import CannotRun
from tests.recordings.made import HERE, created, handled, lines_of, stored, write_lines


@pytest.mark.parametrize(("said", "speed"), [("original", 1.0), ("max", None), ("2", 2.0), ("0.5", 0.5)])
def test_a_speed_is_a_word_or_a_number(said: str, speed: float | None) -> None:
    assert speed_of(said) == speed


@pytest.mark.parametrize("said", ["0", "-1", "fast", "nan", "inf"])
def test_no_other_speed_is_taken(said: str) -> None:
    with pytest.raises(CannotRun, match="--speed"):
        speed_of(said)


def test_a_dry_deployment_has_room_for_all_that_was_placed_and_as_many_servers_as_were_seen() -> None:
    recording = stored("create_meeting")
    assert DryRun.for_recordings([recording], None, None).capacity == 1024
    many = [created(f"m{number}") for number in range(5)]
    refused = handled("CreateMeeting", "no_capacity", meeting="one-more")
    huge = {"capacity": {"participants": 10_000, "producers": 10_000}}
    too_large = handled("CreateMeeting", "no_capacity", meeting="huge", command=huge)
    recording.handled += [*many, refused, too_large]
    size = DryRun.for_recordings([recording], None, None)
    assert 16 * 32 * 6 <= size.capacity < 10_000 * 10_000
    assert size.servers == 1
    assert DryRun.for_recordings([recording], 3, 7) == DryRun(3, 7)


def test_nothing_is_expected_of_a_recording_in_which_no_meeting_began(tmp_path: Path) -> None:
    lines = [
        line for line in lines_of(stored("create_producer")) if line.get("envelope", {}).get("type") != "CreateMeeting"
    ]
    file = write_lines(tmp_path / "middle.jsonl", lines)
    with pytest.raises(CannotRun, match="no meeting began in it"):
        replay(file, dry=True, expect="same")


def test_a_file_is_named_and_there(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="name a recording"):
        replay(dry=True)
    with pytest.raises(CannotRun, match="No such file"):
        replay(tmp_path / "nowhere.jsonl", dry=True)
    with pytest.raises(CannotRun, match="no line of a recording"):
        replay(HERE / "made.py", dry=True)
