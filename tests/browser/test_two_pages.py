"""Two pages see and hear each other, whatever the codec."""

import asyncio
from itertools import pairwise

import pytest

from tests.browser.conftest import Call
from tests.browser.driver import Browser, Look
from tests.conftest import MakeSystem

WINDOWS = 10
RUNNING = 40
"""Frames after which a picture counts as running: the sender has found its bitrate by then."""
MOST_FROZEN = 0.5


def assert_alive(looks: list[dict[str, Look]], name: str, frames: int) -> None:
    """In each window that many new frames; a picture, sound, and next to nothing frozen in all."""
    seen = [look[name] for look in looks]
    new = [after.frames - before.frames for before, after in pairwise(seen)]
    assert len(new) == WINDOWS
    assert min(new) >= frames, f"new frames a second: {new}"
    assert all(look.width > 0 for look in seen)
    assert seen[-1].energy > seen[0].energy
    assert seen[-1].frozen - seen[0].frozen <= MOST_FROZEN


async def see_and_hear_each_other(call: Call, codec: str, frames: int) -> None:
    """Open two pages that send in a codec, and look at both for a while."""
    asha = await call.joined("Asha", codec=codec)
    bela = await call.joined("Bela", codec=codec)
    await asyncio.gather(asha.sees("Bela", frames=RUNNING), bela.sees("Asha", frames=RUNNING))
    at_asha, at_bela = await asyncio.gather(asha.look_around(WINDOWS), bela.look_around(WINDOWS))
    assert_alive(at_asha, "Bela", frames)
    assert_alive(at_bela, "Asha", frames)
    assert at_asha[-1]["Bela"].codecs == ["audio/opus", f"video/{codec}"]
    assert at_bela[-1]["Asha"].codecs == ["audio/opus", f"video/{codec}"]


@pytest.mark.parametrize(("codec", "frames"), [("VP8", 10), ("VP9", 10), ("H264", 10), ("AV1", 5)])
async def test_two_pages_see_and_hear_each_other(call: Call, codec: str, frames: int) -> None:
    await see_and_hear_each_other(call, codec, frames)


async def test_so_they_do_on_the_reference_plane(make_system: MakeSystem, browser: Browser) -> None:
    system = await make_system(media_servers=1, settings={"media-server": {"DOORDARSHAN_PLANE": "reference"}})
    call = Call(system, browser)
    await see_and_hear_each_other(call, "VP8", 10)
    await call.close()
