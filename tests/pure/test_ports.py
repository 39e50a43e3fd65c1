"""Whoever chooses a port has it before anything listens there: nobody else chooses it, in this process or another, until its owner ends."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import SOCK_DGRAM

import pytest

from services.cli.stack import ports
from services.cli.stack.claims import Claims

_ELSEWHERE = """
import sys
from pathlib import Path
from services.cli.stack.claims import Claims
claims = Claims(Path(sys.argv[1]))
for line in sys.stdin:
    print(claims.take(int(line)), flush=True)
"""


class Other:
    """A process that claims ports too."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def takes(self, port: int) -> bool:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(port, file=self._process.stdin, flush=True)
        return self._process.stdout.readline() == "True\n"


@contextmanager
def other(file: Path) -> Iterator[Other]:
    """Run one; it is killed at the end."""
    command = [sys.executable, "-c", _ELSEWHERE, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Other(process)
        process.kill()


def test_a_port_that_one_process_chose_is_no_other_ones_until_it_ends_in_whatever_way(tmp_path: Path) -> None:
    ours, file = Claims(tmp_path / "ports"), tmp_path / "ports"
    with other(file) as one:
        assert ours.take(20_000)
        assert not one.takes(20_000)
        assert one.takes(20_001)
        assert not ours.take(20_001)
    assert ours.take(20_001)


def test_a_port_is_chosen_once_and_again_when_it_was_given_back(tmp_path: Path) -> None:
    ours, file = Claims(tmp_path / "ports"), tmp_path / "ports"
    assert ours.take(20_000)
    assert not ours.take(20_000)
    ours.give_back(20_000)
    with other(file) as one:
        assert one.takes(20_000)
        assert not ours.take(20_000)


def test_the_oldest_claim_is_given_up_for_the_newest_when_there_are_many(tmp_path: Path) -> None:
    ours = Claims(tmp_path / "ports")
    assert all(ours.take(port) for port in range(10_000, 12_001))
    with other(tmp_path / "ports") as one:
        assert one.takes(10_000)
        assert not one.takes(10_001)
        assert not one.takes(12_000)


def test_what_is_chosen_is_not_chosen_again_though_nobody_listens_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_CHOICE", range(20_000, 20_400))
    run = ports.free_run(40)
    chosen = [*ports.free_ports(40), *range(run, run + 40), *ports.free_ports(40, SOCK_DGRAM)]
    assert len(set(chosen)) == 120
