"""Fixtures for all rings. Nothing is started until a test asks for it."""

import signal
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import AsyncExitStack
from typing import Protocol

import pytest

from services.testing.session import Broker, Cache, Database, Session, opened
from services.testing.system import System, running_system


class MakeSystem(Protocol):
    """Starts a system of the test's own; it is stopped after the test."""

    async def __call__(
        self,
        *,
        gateways: int = 1,
        kendras: int = 1,
        media_servers: int = 2,
        settings: dict[str, dict[str, str]] | None = None,
        late: Sequence[str] = (),
    ) -> System: ...


def pytest_configure() -> None:
    """Let commands that tests start hear Ctrl-C: a shell has what it runs in the background ignore it, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
async def session() -> AsyncIterator[Session]:
    """This test session's services, each started when it is first needed."""
    async with opened() as found:
        yield found


@pytest.fixture
async def postgres(session: Session) -> AsyncIterator[Database]:
    """A migrated database of the test's own."""
    async with session.database() as database:
        yield database


@pytest.fixture(scope="module")
async def rabbitmq(session: Session) -> AsyncIterator[Broker]:
    """A vhost of the module's own."""
    async with session.broker() as broker:
        yield broker


@pytest.fixture
async def redis(session: Session) -> Cache:
    """A prefix of the test's own in Redis."""
    return await session.cache()


@pytest.fixture(scope="session")
async def system(session: Session) -> AsyncIterator[System]:
    """One whole system for the session: a gateway, a kendra, two media servers. Leave it as you found it."""
    async with running_system(session) as started:
        yield started


@pytest.fixture
async def make_system(session: Session) -> AsyncIterator[MakeSystem]:
    """Make systems of the test's own."""
    async with AsyncExitStack() as stack:

        async def make(**wanted: object) -> System:
            return await stack.enter_async_context(running_system(session, **wanted))  # type: ignore[arg-type]

        yield make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the processes' last log lines to the report of a test that failed."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, System):
                report.sections += value.logs()
    return report
