"""What is held too much of is seen, each kind by itself; what a pool may keep is not."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.chaos.weighing import Weight, grown, weighed

MIB = 1 << 20
START = Weight(files=30, threads=8, ports=2, memory=100 * MIB, connections={"Postgres": 3, "the broker": 2})
POOLS = {"Postgres": 4, "the broker": 2}
_HOLDS = """
import socket, sys
kept = [socket.create_connection(("127.0.0.1", int(port))) for port in sys.argv[1:]]
print("there", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("end", "what"),
    [
        (replace(START, files=32), ["files"]),
        (replace(START, threads=9), ["threads"]),
        (replace(START, ports=3), ["UDP ports"]),
        (replace(START, memory=106 * MIB), ["memory"]),
        (replace(START, connections={"Postgres": 5}), ["connections to Postgres"]),
        (replace(START, connections={"Redis": 1}), ["connections to Redis"]),
        (replace(START, files=99, memory=200 * MIB), ["files", "memory"]),
    ],
)
def test_a_process_that_holds_more_than_a_twentieth_more_or_more_than_its_pools_may_has_grown(
    end: Weight, what: list[str]
) -> None:
    assert end.outgrows(START, POOLS) == what


def test_one_file_a_full_pool_and_whatever_is_less_is_no_growth() -> None:
    full = {"Postgres": 4, "the broker": 2}
    assert replace(START, files=31, memory=105 * MIB, connections=full).outgrows(START, POOLS) == []
    assert Weight(files=12, threads=4, ports=0, memory=50 * MIB, connections={}).outgrows(START, POOLS) == []
    many = replace(START, files=200)
    assert replace(START, files=210).outgrows(many, POOLS) == []
    assert replace(START, files=211).outgrows(many, POOLS) == ["files"]


def test_who_grew_and_who_is_gone_is_named() -> None:
    before = {"kendra-1": START, "kendra-2": START, "media-server-1": START}
    told = grown(before, {"kendra-1": START, "kendra-2": replace(START, memory=120 * MIB)})
    assert told[0].startswith("I9: kendra-2 has too much of memory: it held ")
    assert told[0].endswith(
        "and holds 30 files, 8 threads, 2 UDP ports, 120.0 MiB, connections: 3 to Postgres, 2 to the broker"
    )
    assert told[1:] == ["I9: media-server-1 does not run"]


@contextmanager
def holding(*ports: int) -> Iterator[int]:
    """Run a process that holds a connection to each port; its pid."""
    command = [sys.executable, "-c", _HOLDS, *map(str, ports)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        yield process.pid
        process.kill()


def test_connections_to_services_are_weighed_apart_from_files() -> None:
    with socket.create_server(("127.0.0.1", 0)) as postgres, socket.create_server(("127.0.0.1", 0)) as other:
        port, elsewhere = postgres.getsockname()[1], other.getsockname()[1]
        environment = {"DOORDARSHAN_POSTGRES_URL": f"postgresql://127.0.0.1:{port}/x"}
        with holding() as alone, holding(port, elsewhere) as connected:
            before, after = weighed(alone, environment), weighed(connected, environment)
    assert (before.connections, after.connections) == ({}, {"Postgres": 1})
    assert after.files == before.files + 1, "a connection to something else is a file"
