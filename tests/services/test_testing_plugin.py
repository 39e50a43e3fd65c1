"""The pytest plugin for other people: its example passes as they would run it, and what goes wrong is said in one line."""

import asyncio
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

import pytest

from contracts.create_meeting import AllocateRouter, CreateMeeting
from contracts.create_producer import CreateProducer
from services.testing import plugin
from services.testing.cluster import Cluster, WrongLoop
from services.testing.faults import Faults, Refuses, Slow
from services.testing.session import Broker, Cache, Database, Session

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "broker_tests"
INSTALLED = any(one.value == "services.testing.plugin" for one in entry_points(group="pytest11"))
NAMED = () if INSTALLED else ("-p", "services.testing.plugin")
"""The plugin is found by its entry point; an environment that was installed before there was one needs its name."""


def addresses(session: Session, broker: Broker, cache: Cache) -> dict[str, str]:
    """Return this session's services as somebody who has services of his own would name them."""
    postgres = session.services.postgres
    return {
        "DOORDARSHAN_POSTGRES_URL": postgres.url("postgres", "postgres")
        if postgres
        else os.environ["DOORDARSHAN_POSTGRES_URL"],
        "DOORDARSHAN_AMQP_URL": broker.url,
        "DOORDARSHAN_REDIS_URL": cache.url,
    }


@pytest.mark.timeout(240)
async def test_the_example_passes_where_services_are_named(
    session: Session, postgres: Database, own_broker: Broker, redis: Cache
) -> None:
    with session.place("example") as place:
        options = (
            "-p",
            "no:cacheprovider",
            *NAMED,
            "-o",
            f"doordarshan_run_directory={place}",
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytest", "-q", "-c", "pytest.ini", *options),
            cwd=EXAMPLE,
            env=os.environ | addresses(session, own_broker, redis),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-8000:]
    assert b" passed" in output


def test_the_plugin_is_registered_and_the_migrations_are_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = project["project"]["entry-points"]["pytest11"].values()
    assert [import_module(name) for name in named] == [plugin]
    assert {"migrations", "services", "contracts"} <= set(project["tool"]["uv"]["build-backend"]["module-name"])


HIDES_RABBITMQ = """
from services.cli.stack import programs
programs._RABBITMQ_HOMES = ()
"""
ASKS_FOR_A_BROKER = """
async def test_one(broker):
    raise AssertionError("it has one")
"""


def test_a_program_that_is_missing_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "hides_rabbitmq.py").write_text(HIDES_RABBITMQ)
    (tmp_path / "test_one.py").write_text(ASKS_FOR_A_BROKER)
    (tmp_path / "pytest.ini").write_text((EXAMPLE / "pytest.ini").read_text())
    options = ("-p", "no:cacheprovider", *NAMED, "-p", "hides_rabbitmq")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("DOORDARSHAN_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RabbitMQ is not installed; " in ended.stdout
    assert "or name services with DOORDARSHAN_POSTGRES_URL" in ended.stdout
    assert "Traceback" not in ended.stdout
    assert "programs.py" not in ended.stdout


async def test_a_test_in_another_event_loop_is_told_which_setting_is_missing() -> None:
    elsewhere = asyncio.new_event_loop()
    try:
        cluster = Cluster(cast(Any, None), cast(Any, None), elsewhere)
        with pytest.raises(WrongLoop, match="asyncio_default_test_loop_scope = session"):
            await cluster.ask(CreateMeeting(), "standup")
    finally:
        elsewhere.close()


def test_a_fault_happens_as_often_as_wanted_and_to_its_command_only() -> None:
    once, always = Refuses(AllocateRouter), Slow(AllocateRouter, seconds=1.0, times=None)
    faults = Faults((once, always))
    assert faults.of("CreateProducer") == []
    assert faults.of("AllocateRouter") == [once, always]
    faults.count(once)
    faults.count(always)
    assert faults.of("AllocateRouter") == [always]
    assert Faults((once, Slow(CreateProducer, seconds=1.0)), {once: 1}).idle() == [Slow(CreateProducer, seconds=1.0)]
