"""The pytest plugin: fixtures for tests against a real broker. docs/testing-with-it.md shows them at work.

Nothing is started until a test asks for it. Services are private ones, started from the programs on this machine, or those that
DOORDARSHAN_POSTGRES_URL, _AMQP_URL and _REDIS_URL name. Everything lives in the session's event loop, and so must the tests.
"""

from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio

from services.cli.stack.errors import CannotRun
from services.testing.cluster import Cluster, running_cluster
from services.testing.fake_media_server import FakeMediaServer
from services.testing.faults import AnyFault
from services.testing.session import Broker, Session, opened

DIRECTORY = "doordarshan_run_directory"
_REMEDY = "or name services with DOORDARSHAN_POSTGRES_URL, DOORDARSHAN_AMQP_URL and DOORDARSHAN_REDIS_URL"


class StartFakeMediaServer(Protocol):
    """Starts a media server without media, with the faults that are wanted; it is stopped after the test."""

    async def __call__(
        self, name: str, *, capacity: int = 1024, faults: Sequence[AnyFault] = ()
    ) -> FakeMediaServer: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the directory for what private services keep."""
    about = (
        "where private Postgres, RabbitMQ and Redis keep their files (default: .doordarshan beside the configuration)"
    )
    parser.addini(DIRECTORY, about, default=".doordarshan")


def run_directory(config: pytest.Config) -> Path:
    """Return where private services keep their files."""
    return config.rootpath / str(config.getini(DIRECTORY))


@contextmanager
def _or_say_what_is_missing() -> Iterator[None]:
    """Fail in one line when a service cannot be had."""
    try:
        yield
    except CannotRun as reason:
        pytest.fail(f"{reason}; {_REMEDY}", pytrace=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def doordarshan_session(pytestconfig: pytest.Config) -> AsyncIterator[Session]:
    """This test session's services, each started when it is first needed."""
    with _or_say_what_is_missing():
        async with opened(run_directory(pytestconfig)) as session:
            yield session


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def broker(doordarshan_session: Session) -> AsyncIterator[Broker]:
    """A vhost of the module's own: `url` is its administrator's, `of` has those of gateway, kendra, media and tool."""
    with _or_say_what_is_missing():
        async with doordarshan_session.broker() as vhost:
            yield vhost


@pytest.fixture(scope="session")
def cluster_settings() -> Mapping[str, Mapping[str, str]]:
    """More DOORDARSHAN_* variables of the cluster's processes, by kind (`gateway`, `kendra`). Override it to set some."""
    return {}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(
    doordarshan_session: Session, broker: Broker, cluster_settings: Mapping[str, Mapping[str, str]]
) -> AsyncIterator[Cluster]:
    """A gateway and a kendra as real processes, in the module's vhost."""
    with _or_say_what_is_missing():
        async with running_cluster(doordarshan_session, broker, cluster_settings) as running:
            yield running


@pytest_asyncio.fixture(loop_scope="session")
async def fake_media_server(cluster: Cluster) -> AsyncIterator[StartFakeMediaServer]:
    """Start media servers without media; after the test they are stopped, and the meetings are over.

    A fault that was wanted and never happened fails the test: it proved nothing.
    """
    yield cluster.fake_media_server
    idle = [fault for server in cluster.servers for fault in server.faults.idle()]
    await cluster.clear()
    if idle:
        pytest.fail(f"never happened: {', '.join(map(str, idle))}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the processes' last log lines to the report of a test that failed."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Cluster):
                report.sections += value.system.logs()
    return report
