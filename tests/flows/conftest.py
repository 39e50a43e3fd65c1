"""Fixtures of the flow tests: a fresh meeting in the session's system; after each test rows and memory must agree."""

from collections.abc import AsyncIterator

import pytest

from services.testing.system import System
from tests.flows.people import Meeting
from tests.truth import rows_equal_memory


@pytest.fixture
async def meeting(system: System) -> AsyncIterator[Meeting]:
    """A meeting that nobody created yet. When the test is over, and again when the meeting is, Postgres and memory must hold the same."""
    one = Meeting(system)
    yield one
    await rows_equal_memory(system)
    await one.end()
    await rows_equal_memory(system)
