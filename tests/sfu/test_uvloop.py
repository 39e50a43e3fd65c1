"""The plane runs on uvloop as well."""

import asyncio

import pytest
import uvloop

from tests.sfu.test_media import test_opus_and_vp8_of_one_peer_are_decoded_by_another as media

pytestmark = pytest.mark.usefixtures("each_plane")


def test_two_peers_meet_on_uvloop() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(media())
