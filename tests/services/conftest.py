"""Fixtures of the gateway tests: one gateway a module, as if fresh for each test, and what a test needs to make its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest
import redis.asyncio

from tests.services.gateway_peers import ANSWERS, Edge, Log, running_edge
from tests.session import Broker, Cache, Database, Session

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
def make_edge(postgres: Database, rabbitmq: Broker, redis: Cache) -> MakeEdge:
    """Make a gateway of the test's own, with settings of its own."""
    return partial(running_edge, postgres, rabbitmq, redis)


@pytest.fixture
async def log(edge: Edge) -> AsyncIterator[Log]:
    """The meeting's event stream in Redis, empty."""
    async with redis.asyncio.Redis.from_url(edge.settings.redis_url, decode_responses=True) as client:
        log = Log(client, edge.settings.redis_prefix)
        await client.delete(log.key)
        yield log
