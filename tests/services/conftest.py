"""Fixtures of the gateway tests: one gateway a module, as if fresh for each test, and what a test needs to make its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest

from services.testing.session import Broker, Cache, Database, Session
from tests.services.gateway_answers import ANSWERS
from tests.services.gateway_peers import Edge, Log, log_of, running_edge

MakeEdge = Callable[..., AbstractAsyncContextManager[Edge]]


@pytest.fixture(scope="module")
async def module_edge(session: Session, rabbitmq: Broker) -> AsyncIterator[Edge]:
    """A gateway of the module's own. It does not mind how often somebody fails to authenticate."""
    async with session.database() as database:
        cache = await session.cache()
        async with running_edge(database, rabbitmq, cache, rate_limit_failures="10000/second") as one:
            yield one


@pytest.fixture
async def edge(module_edge: Edge) -> Edge:
    """The module's gateway; its kendra has forgotten what it was asked."""
    module_edge.kendra.asked.clear()
    module_edge.kendra.answers.update(ANSWERS)
    return module_edge


@pytest.fixture
async def own_broker(session: Session) -> AsyncIterator[Broker]:
    """A vhost of the test's own, so that no other kendra takes its commands."""
    async with session.broker() as broker:
        yield broker


@pytest.fixture
def make_edge(postgres: Database, own_broker: Broker, redis: Cache) -> MakeEdge:
    """Make a gateway of the test's own, with settings of its own."""
    return partial(running_edge, postgres, own_broker, redis)


@pytest.fixture
async def log(edge: Edge) -> AsyncIterator[Log]:
    """The meeting's event stream in Redis, empty."""
    async with log_of(edge) as log:
        yield log
