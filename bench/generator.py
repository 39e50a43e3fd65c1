"""The load generator as the benchmark drives it: orders in, events and counts out."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from bench.client import JsonObject
from bench.tools import prefer

DEADLINE = 30.0


class Generator:
    """One process of `load`. Use `start`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: dict[tuple[str, str], asyncio.Future[JsonObject]] = {}
        self._listening = asyncio.create_task(self._listen())
        self.fingerprint = ""
        self.refused: list[str] = []

    @classmethod
    async def start(cls, program: Path, core: int) -> "Generator":
        """Start one on a core of its own."""
        process = await asyncio.create_subprocess_exec(
            program,
            "--cpu",
            str(core),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        prefer(process.pid)
        made = cls(process)
        made.fingerprint = str((await made.event("ready"))["fingerprint"])
        return made

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def order(self, line: str) -> None:
        """Give an order; see `src/world.rs`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    def expect(self, kind: str, name: str = "") -> asyncio.Future[JsonObject]:
        """Return what will hold an event: ready, pong, report; connected (a transport), first (`transport/ssrc`)."""
        future = asyncio.get_running_loop().create_future()
        self._waiting[(kind, name)] = future
        return future

    async def event(self, kind: str, name: str = "") -> JsonObject:
        """Wait for an event. Raises RuntimeError if the transport failed."""
        async with asyncio.timeout(DEADLINE):
            return await self.expect(kind, name)

    async def settled(self) -> None:
        """Wait until every order given was carried out. Raises RuntimeError if one was refused."""
        pong = self.expect("pong")
        self.order("ping")
        async with asyncio.timeout(DEADLINE):
            await pong
        if self.refused:
            raise RuntimeError(self.refused[0])

    async def report(self) -> dict[str, Any]:
        """Return what was counted since `reset`."""
        answer = self.expect("report")
        self.order("report")
        async with asyncio.timeout(DEADLINE):
            return cast(dict[str, Any], await answer)

    async def close(self) -> None:
        """End it."""
        self.order("quit")
        await self._process.wait()
        await self._listening

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            event = cast(JsonObject, json.loads(line))
            self._tell(str(event["event"]), event)

    def _tell(self, kind: str, event: JsonObject) -> None:
        name = ""
        if kind == "refused":
            self.refused.append(f"{event['line']}: {event['why']}")
            return
        if kind in ("connected", "failed"):
            name = str(event["transport"])
        elif kind == "first":
            name = f"{event['transport']}/{event['ssrc']}"
        future = self._waiting.pop(("connected" if kind == "failed" else kind, name), None)
        if future is None or future.done():
            return
        if kind == "failed":
            future.set_exception(RuntimeError(f"transport {name}: {event['why']}"))
        else:
            future.set_result(event)


def words(given: Iterable[tuple[str, object]]) -> str:
    """Write `key=value` words."""
    return " ".join(f"{key}={value}" for key, value in given)
