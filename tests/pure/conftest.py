"""What is asserted of a plane is asserted of each: a module or a test that uses `each_core` runs once on every one."""

from collections.abc import Iterator

import pytest

from sfu.plane import native
from tests.pure.cores import CORES
from tests.pure.virtual_plane import VirtualPlane


@pytest.fixture(scope="module", params=[name for name in CORES if name != "native" or not native.missing()])
def each_core(request: pytest.FixtureRequest) -> Iterator[str]:
    """The core that a VirtualPlane has unless it is told."""
    VirtualPlane.usual = request.param
    yield request.param
    VirtualPlane.usual = "reference"
