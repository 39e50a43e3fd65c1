"""Meetings that move under the pages in them: their media server is killed, drained, or loses the worker. Nobody presses anything.

How long pictures stand still is measured on the page, frame by frame as they are shown. The bounds hold on a busy machine too; what
was measured is logged (`pytest -o log_cli=true -o log_cli_level=INFO`), and docs/reliability.md says what a quiet one does.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

import pytest

from services.cli.participant.api import Api
from services.testing.session import Session
from services.testing.system import System, running_system
from tests.browser.conftest import Call
from tests.browser.driver import Browser, Page
from tests.eventually import eventually

NAMES = ("Asha", "Bela", "Chandra")
SETTINGS = {
    "kendra": {"DOORDARSHAN_LEASE": "3"},
    "media-server": {
        "DOORDARSHAN_LEASE": "3",
        "DOORDARSHAN_HEARTBEAT": "0.5",
        "DOORDARSHAN_CAPACITY": "10000",
        "DOORDARSHAN_WORKER_DIES_ON": "SIGUSR2",
    },
}
SMALL = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
const small = { width: 160, height: 120, frameRate: 10 };
navigator.mediaDevices.getUserMedia = ({ video, ...others }) => open({ ...others, ...(video && { video: { ...video, ...small } }) });
"""
"""Pictures that leave two cores, which also draw them, time for what is looked at here."""
RUNNING = 15
"""Frames after which a picture runs again."""

log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
async def system(session: Session) -> AsyncIterator[System]:
    """Two media servers with a short lease, for the tests of this file; each puts back what it killed."""
    async with running_system(session, media_servers=2, settings=SETTINGS) as started:
        yield started


@pytest.fixture
async def calls(system: System, browser: Browser) -> AsyncIterator[list[Call]]:
    """Three meetings of two pages each, all on the first media server: the other one gets none while they begin."""
    operator = Api(system.url, system.token())
    for other in system.servers[1:]:
        await operator.post(f"/v1/servers/{other}/drain")
    found = [Call(system, browser) for _ in range(3)]
    try:
        await asyncio.gather(*(meet(call, *NAMES[:2]) for call in found))
    finally:
        for other in system.servers[1:]:
            await operator.delete(f"/v1/servers/{other}/drain")
        await operator.close()
    yield found
    await asyncio.gather(*(call.close() for call in found))


@pytest.fixture(scope="module")
async def trio(system: System, browser: Browser) -> AsyncIterator[Call]:
    """Three pages in one meeting that see and hear each other."""
    call = Call(system, browser)
    await meet(call, *NAMES)
    yield call
    await call.close()


async def meet(call: Call, *names: str) -> None:
    """Open a page for each, and wait until they see and hear each other."""
    for name in names:
        page = await call.open(script=SMALL, size=(320, 400))
        await page.join(name)
    await all_see_each_other(call)


async def all_see_each_other(call: Call, within: float = 20) -> None:
    names = NAMES[: len(call.pages)]
    others = ([other for other in names if other != name] for name in names)
    await asyncio.gather(*(page.sees(*seen, within=within) for page, seen in zip(call.pages, others, strict=True)))


async def place_of(call: Call) -> tuple[str, int]:
    """Return where the meeting is wanted, and its epoch."""
    row = await call.system.postgres.fetchrow("select server, epoch from meetings where meeting = $1", call.id)
    return row["server"], row["epoch"]


@asynccontextmanager
async def nobody_comes_or_goes(call: Call) -> AsyncIterator[None]:
    """Hold that the same tiles stay on every page, and the same seats in the meeting."""
    seats = "select participant, seat from participants where meeting = $1 and left_at is null order by seat"
    seated = await call.system.postgres.fetch(seats, call.id)
    mark = "() => { for (const tile of document.querySelectorAll('.tile')) tile.marked = true }"
    await asyncio.gather(*(page.evaluate(mark) for page in call.pages))
    yield
    stayed = "() => [...document.querySelectorAll('.tile')].map((tile) => tile.marked === true)"
    assert [await page.evaluate(stayed) for page in call.pages] == [[True] * len(call.pages)] * len(call.pages)
    assert await call.system.postgres.fetch(seats, call.id) == seated


async def stillness(page: Page, at_least: float, within: float) -> float:
    """Wait until every picture of a page runs, after it stood still for so long at least; return the longest of its pauses, in seconds."""

    async def all_run() -> float:
        pictures = await page.pictures()
        for name, picture in pictures.items():
            assert picture.frames >= RUNNING, (name, picture)
            assert picture.still >= at_least, (name, picture)
        return max(picture.still for picture in pictures.values())

    return await eventually(all_run, within=within)


async def stand_still(call: Call, what: str, at_least: float = 0.0) -> float:
    """Return how long pictures stood still at most on any page; log it."""
    found = await asyncio.gather(*(stillness(page, at_least, 30) for page in call.pages))
    log.info("%s: pictures stood still for %s s", what, ", ".join(f"{one:.2f}" for one in found))
    return max(found)


async def forget(call: Call) -> None:
    await asyncio.gather(*(page.forget_pictures() for page in call.pages))


async def back_after(call: Call, killed: float) -> float:
    """Wait until every picture on every page runs again; return how long after the kill (Unix time) the last one did, in seconds."""

    async def all_run() -> float:
        shown = [picture for page in call.pages for picture in (await page.pictures()).values()]
        assert all(picture.back > killed and picture.frames >= RUNNING for picture in shown), shown
        return max(picture.back for picture in shown) - killed

    return await eventually(all_run, within=40)


async def test_every_call_comes_back_after_its_media_server_was_killed(system: System, calls: list[Call]) -> None:
    killed, other = system.servers
    places = [await place_of(call) for call in calls]
    assert {server for server, _ in places} == {killed}
    try:
        async with AsyncExitStack() as all_stay:
            for call in calls:
                await all_stay.enter_async_context(nobody_comes_or_goes(call))
            await asyncio.gather(*map(forget, calls))
            at = time.time()
            await system.kill(killed)
            took = await asyncio.gather(*(back_after(call, at) for call in calls))
            each = ", ".join(f"{one:.2f}" for one in took)
            log.info("killed media server: pictures run again everywhere after %s s, median %.2f s", each, median(took))
            await asyncio.gather(*map(all_see_each_other, calls))
        assert median(took) <= 10
        assert [await place_of(call) for call in calls] == [(other, epoch + 1) for _, epoch in places]
        for page in (page for call in calls for page in call.pages):
            assert not await page.text("#banner")
            assert await page.evaluate("() => document.querySelectorAll('.still').length") == 0
    finally:
        await system.start(killed)


async def test_pictures_hardly_stop_when_the_media_server_is_drained(trio: Call) -> None:
    server, epoch = await place_of(trio)
    operator = Api(trio.system.url, trio.system.token())
    banners = "() => { window.banners = []; new MutationObserver(() => banners.push(document.querySelector('#banner').hidden))"
    await asyncio.gather(
        *(
            page.evaluate(f"{banners}.observe(document.querySelector('#banner'), {{attributes: true}}) }}")
            for page in trio.pages
        )
    )
    async with nobody_comes_or_goes(trio):
        await forget(trio)
        await operator.post(f"/v1/servers/{server}/drain", {"deadlineSeconds": 30})

        async def empty() -> bool:
            listed = await operator.get("/v1/servers")
            (found,) = [one for one in listed["servers"] if one["mediaServerId"] == server]  # type: ignore[union-attr, index, call-overload]
            return found["meetings"] == found["leaving"] == 0  # type: ignore[index, call-overload]

        await eventually(empty, within=30)
        await all_see_each_other(trio)
        assert await stand_still(trio, "drained media server") <= 1.5
    assert await place_of(trio) == (next(one for one in trio.system.servers if one != server), epoch + 1)
    assert [await page.evaluate("() => window.banners") for page in trio.pages] == [[]] * len(NAMES)
    await operator.delete(f"/v1/servers/{server}/drain")
    await operator.close()


async def test_pictures_come_back_after_a_worker_died(trio: Call) -> None:
    server, epoch = await place_of(trio)
    async with nobody_comes_or_goes(trio):
        await forget(trio)
        os.kill(trio.system.pid(server), signal.SIGUSR2)
        assert await stand_still(trio, "died worker", at_least=0.2) <= 6
        await all_see_each_other(trio)
    assert (await place_of(trio))[1] == epoch + 1
