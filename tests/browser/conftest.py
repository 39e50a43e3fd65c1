"""Fixtures of the browser tests: one Chromium for the session, a fresh meeting and its visitors in each test."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from services.cli.participant.api import Api, ApiError
from services.testing.system import System
from tests.browser.driver import Browser, BrowserError, Driver, Page
from tests.truth import rows_equal_memory

INVITED = ("create", "join", "produce", "consume")


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium with fake camera and microphone."""
    async with Driver() as driver:
        yield await Browser.launch(driver)


class Call:
    """One meeting and the pages that were opened for it."""

    def __init__(self, system: System, browser: Browser) -> None:
        self.system, self.browser, self.id = system, browser, f"b-{uuid4().hex[:10]}"
        self.path = f"/v1/meetings/{self.id}"
        self.admin = Api(system.url, system.token(meeting=self.id), budget=10)
        self.pages: list[Page] = []

    def link(self, at: str | None = None, **fields: str) -> str:
        """Return an invitation as `make up` prints it, with more fields in the fragment; `at` another origin than the gateway's."""
        token = self.system.token(meeting=self.id, grants=INVITED)
        return f"{at or self.system.url}/#token={token}" + "".join(f"&{key}={value}" for key, value in fields.items())

    async def open(
        self,
        script: str = "",
        at: str | None = None,
        state: str = "prejoin",
        size: tuple[int, int] = (800, 600),
        **fields: str,
    ) -> Page:
        """Open the page and wait for the screen that it begins with."""
        page = await self.browser.open(self.link(at, **fields), *size, script=script)
        self.pages.append(page)
        await page.in_state(state)
        return page

    async def joined(self, name: str, at: str | None = None, **fields: str) -> Page:
        """Open the page and join as `name`."""
        page = await self.open(at=at, **fields)
        await page.join(name)
        return page

    async def rows(self, table: str, participant: str) -> set[str]:
        """Return the ids of a participant's rows in `transports`, `producers` or `consumers`."""
        statement = f"select id from {table} where meeting = $1 and participant = $2"  # noqa: S608
        return {row["id"] for row in await self.system.postgres.fetch(statement, self.id, participant)}

    async def events(self) -> list[tuple[int, str]]:
        """Return the meeting's log: sequence and type."""
        statement = "select sequence, type from events where meeting = $1 order by sequence"
        return [(row["sequence"], row["type"]) for row in await self.system.postgres.fetch(statement, self.id)]

    async def end(self) -> None:
        """End the meeting; one that is over, or never began, is fine."""
        try:
            await self.admin.delete(self.path)
        except ApiError as error:
            if error.code != "meeting_not_found":
                raise

    async def close(self) -> None:
        """Close all pages and end the meeting; no page may have failed in silence."""
        logs: list[str] = []
        for page in self.pages:
            try:
                logs += await page.ask("logs")
                await page.close()
            except BrowserError:
                continue  # the test closed it
        await self.end()
        await self.admin.close()
        assert [line for line in logs if line.startswith("uncaught")] == []


@pytest.fixture
async def call(system: System, browser: Browser) -> AsyncIterator[Call]:
    """A meeting nobody joined yet. When the test is over, Postgres and the media servers' memory must hold the same."""
    one = Call(system, browser)
    yield one
    await one.close()
    await rows_equal_memory(system)
