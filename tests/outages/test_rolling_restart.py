"""A new version is rolled out: each gateway and each kendra is stopped in order and started again, and nobody notices."""

import itertools
import time

from services.testing.system import System
from tests.outages.balancer import balanced
from tests.outages.calls import Caller, told
from tests.outages.crowd import Crowd
from tests.outages.reading import reading
from tests.outages.traffic import traffic

STOPS_WITHIN = 10.0


async def test_a_rolling_restart_under_load_fails_no_call(hurt: System, crowd: Crowd, caller: Caller) -> None:
    await crowd.gather()
    took: dict[str, float] = {}
    async with balanced(hurt.urls) as clients:
        async with (
            reading(clients.urls, crowd.meetings[0], hurt.token()) as reader,
            traffic(clients, map(crowd.produce, itertools.cycle(crowd.seats)), pause=0.05) as sent,
        ):
            for name in ("gateway-1", "kendra-1", "gateway-2", "kendra-2"):
                began = time.monotonic()
                await hurt.stop(name)
                took[name] = time.monotonic() - began
                assert hurt.running.children[name].process.returncode == 0
                await hurt.start(name)
        await reader.has_all(await crowd.head(crowd.meetings[0]))
    told(
        {
            "calls": len(sent.orders),
            "slowest": f"{clients.slowest:.2f} s",
            "stopped in": took,
            "streams": reader.streams,
        }
    )
    assert clients.refused == {}
    assert max(took.values()) <= STOPS_WITHIN
    assert reader.streams > 1
    await crowd.agree(sent.answers, sent.orders)
