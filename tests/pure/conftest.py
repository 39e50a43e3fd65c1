"""What is asserted of a plane is asserted of each: a module or a test that uses `each_core` runs once on every one."""

from collections.abc import Iterator

import pytest

from sfu.plane import native
from tests.pure.virtual_plane import CORES, VirtualPlane


@pytest.fixture(scope="module", params=CORES)
def each_core(request: pytest.FixtureRequest) -> Iterator[str]:
    """The core that a VirtualPlane has unless it is told."""
    if request.param == "native" and native.missing():
        pytest.skip(f"there is no native plane here: {native.missing()}")
    VirtualPlane.usual = request.param
    yield request.param
    VirtualPlane.usual = "reference"
