"""What is asserted of a plane is asserted of each: a module or a test that uses `each_plane` runs once on every one that carries media."""

from collections.abc import Iterator

import pytest

from sfu.plane import native
from sfu.worker import PlaneName
from tests.sfu.room import Room

HERE: list[PlaneName] = ["reference"] if native.missing() else ["reference", "native"]
"""test_native_plane.py is what tells of one that is not."""


@pytest.fixture(scope="module", params=HERE)
def each_plane(request: pytest.FixtureRequest) -> Iterator[PlaneName]:
    """The plane that a room has unless it is told."""
    Room.usual = request.param
    yield request.param
    Room.usual = "reference"
