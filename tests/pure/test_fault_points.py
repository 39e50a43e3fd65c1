"""Fault points: a process dies at exactly the pass that was named, can be armed while it runs, and is left alone otherwise."""

import os
import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import structlog
from services.fault_points import Point, reached
for command in ("JoinMeeting", "CreateMeeting", "JoinMeeting"):
    structlog.contextvars.bind_contextvars(command=command)
    for point in (Point.BEFORE_COMMIT, Point.AFTER_COMMIT):
        reached(point)
        print(command, point, flush=True)
"""
ALL = [
    f"{command} {when}-commit"
    for command in ("JoinMeeting", "CreateMeeting", "JoinMeeting")
    for when in ("before", "after")
]


def run(setting: str | None) -> tuple[int, list[str]]:
    """Run a program that passes six points; return how it ended and which it survived."""
    environment = {**os.environ} | ({} if setting is None else {"DOORDARSHAN_FAULT_POINT": setting})
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def test_nothing_happens_unless_the_setting_is_there() -> None:
    assert run(None) == (0, ALL)


def test_the_process_dies_at_the_pass_that_was_named() -> None:
    assert run("after-commit:2") == (-signal.SIGKILL, ALL[:3])


def test_only_passes_in_the_course_of_the_named_command_count() -> None:
    assert run("before-commit@JoinMeeting:2") == (-signal.SIGKILL, ALL[:4])


def test_a_point_that_is_not_passed_so_often_harms_nobody() -> None:
    assert run("before-commit@CreateMeeting:2") == (0, ALL)


def test_a_name_that_is_none_is_refused_at_the_start() -> None:
    status, survived = run("before-lunch:1")
    assert (status, survived) == (1, [])


def test_a_file_arms_a_process_and_every_pass_is_noted_beside_it(tmp_path: Path) -> None:
    armed = tmp_path / "point"
    armed.write_text("after-commit@CreateMeeting:1\n")
    assert run(f"@{armed}") == (-signal.SIGKILL, ALL[:3])
    noted = armed.with_name("point.passed").read_text().splitlines()
    assert noted == [
        "before-commit@JoinMeeting",
        "after-commit@JoinMeeting",
        "before-commit@CreateMeeting",
        "after-commit@CreateMeeting",
    ]


def test_a_file_that_is_not_there_arms_nothing(tmp_path: Path) -> None:
    assert run(f"@{tmp_path / 'point'}") == (0, ALL)
