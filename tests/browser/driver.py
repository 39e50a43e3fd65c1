"""Real browsers for tests: a Node process with puppeteer, asked over its standard input and output, and what a page of ours can be asked.

`web/test/driver.mjs` drives Chromium and Firefox alike. Requests run side by side; each has a deadline.
"""

import asyncio
import json
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from pydantic import JsonValue

from tests.eventually import eventually

PROJECT = Path(__file__).parents[2]
WATCH = (Path(__file__).parent / "watch.js").read_text()
_SECONDS = 30.0
_LONGEST_LINE = 16 * 1024 * 1024


class BrowserError(AssertionError):
    """The browser could not do what a test asked for."""


class Driver:
    """The Node process; use it as an async context manager."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._process: asyncio.subprocess.Process
        self._reader: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            "node",
            str(PROJECT / "web" / "test" / "driver.mjs"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader

    async def ask(self, method: str, within: float = _SECONDS, **parameters: JsonValue) -> Any:
        """Ask for one thing; raises BrowserError with the browser's own words."""
        assert self._process.stdin
        number = next(self._ids)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": number, "method": method, **parameters})
        self._process.stdin.write(line.encode() + b"\n")
        try:
            async with asyncio.timeout(within):
                return await answer
        except TimeoutError:
            raise BrowserError(f"{method}: no answer within {within} s") from None
        finally:
            del self._waiting[number]

    async def _read(self) -> None:
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            answer = json.loads(line)
            waiting = self._waiting.get(answer["id"])
            if waiting is None or waiting.done():
                continue
            if "error" in answer:
                waiting.set_exception(BrowserError(answer["error"]))
            else:
                waiting.set_result(answer["result"])
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(BrowserError("the driver ended"))


class Browser:
    """A running browser."""

    def __init__(self, driver: Driver, number: int) -> None:
        self._driver, self._number = driver, number

    @classmethod
    async def launch(cls, driver: Driver, kind: Literal["chrome", "firefox"] = "chrome") -> Self:
        """Start a browser with fake devices."""
        return cls(driver, await driver.ask("launch", kind=kind))

    async def open(self, url: str, width: int = 800, height: int = 600, script: str = "") -> "Page":
        """Open a page in a window and a storage of its own; `script` runs before the page's."""
        number = await self._driver.ask(
            "open", browser=self._number, url=url, width=width, height=height, script=WATCH + script
        )
        return Page(self._driver, number)


class Look(NamedTuple):
    """What a page receives of one participant, summed up since it began to (frames, frozen seconds, sound energy)."""

    participant: str
    width: int
    frames: int
    frozen: float
    energy: float
    codecs: list[str]
    picture: bool
    muted: bool


class Picture(NamedTuple):
    """What a page showed of one participant since `forget_pictures`: frames since its last standstill of a second, the longest time
    without one in seconds, and when that standstill ended (Unix time; 0 for never)."""

    frames: int
    still: float
    back: float


class Page:
    """A visitor's page."""

    def __init__(self, driver: Driver, number: int) -> None:
        self._driver, self._number = driver, number

    async def ask(self, method: str, within: float = _SECONDS, **parameters: JsonValue) -> Any:
        """Ask the driver for something about this page."""
        return await self._driver.ask(method, within, page=self._number, **parameters)

    async def evaluate(self, function: str, *arguments: JsonValue, within: float = _SECONDS) -> Any:
        """Call a JavaScript function in the page and return its JSON."""
        return await self.ask("evaluate", within, function=function, arguments=list(arguments))

    async def join(self, name: str) -> None:
        """Fill in the name, press Join, wait for the meeting."""
        await self.ask("fill", selector="#name", text=name)
        await self.ask("click", selector="#join")
        await self.in_state("call")

    async def in_state(self, state: str, within: float = 15) -> None:
        """Wait for a screen of the page."""

        async def shown() -> bool:
            now = await self.evaluate(
                "() => [document.body.dataset.state, document.querySelector('.notices').innerText]"
            )
            assert now[0] == state, now
            return True

        await eventually(shown, within=within)

    async def text(self, selector: str) -> str:
        """Return the text of an element."""
        return str(await self.evaluate("(selector) => document.querySelector(selector).innerText", selector))

    async def received(self) -> dict[str, Look]:
        """Return what this page receives now, by the names on the others' tiles."""
        return _looks(await self.evaluate("() => window.received()"))

    async def pictures(self) -> dict[str, Picture]:
        """Return what this page has shown of the others since `forget_pictures`, by the names on their tiles."""
        shown = await self.evaluate("() => window.pictures()")
        return {name: Picture(**picture) for name, picture in shown.items()}

    async def forget_pictures(self) -> None:
        """Begin to watch the pictures anew."""
        await self.evaluate("() => window.forgetPictures()")

    async def look_around(self, windows: int) -> list[dict[str, Look]]:
        """Return `windows` + 1 looks, a second apart."""
        looks = await self.evaluate("(windows) => window.lookAround(windows)", windows, within=windows * 3 + _SECONDS)
        return [_looks(look) for look in looks]

    async def sees(self, *names: str, frames: int = 5, within: float = 20) -> None:
        """Wait until exactly these others have tiles, each with sound and a running picture: that many new frames."""
        before: dict[str, Look] = {}

        async def all_run() -> bool:
            now = await self.received()
            assert set(now) == set(names), f"tiles of {sorted(now)}"
            for name in names:
                first = before.setdefault(name, now[name])
                if now[name].frames < first.frames:
                    before[name] = now[name]  # another track has taken its place
                assert runs(now[name], before[name], frames), (first, now[name])
            return True

        await eventually(all_run, within=within)

    async def close(self) -> None:
        """Close the window, as its visitor would."""
        await self.ask("close")


def runs(now: Look, since: Look, frames: int) -> bool:
    """Tell whether a picture with that many new frames and some sound has arrived since an earlier look."""
    return now.picture and now.width > 0 and now.frames >= since.frames + frames and now.energy > 0


def _looks(found: dict[str, Any]) -> dict[str, Look]:
    return {name: Look(**look) for name, look in found.items()}
