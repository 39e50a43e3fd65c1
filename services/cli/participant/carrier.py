"""One direction's transport, kept alive. Its cargo says what should be on it; the carrier makes the transport, has the cargo
loaded whenever something changed, and starts anew when the transport or the meeting's server is gone.

Passes never overlap; a restart cancels the one under way. A transport that may be kept goes on until the next one has taken over.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Protocol

from services.cli.participant.api import ApiError
from services.cli.participant.rtc import PeerTransport

LONGEST_OVERLAP = 10.0
"""Seconds that a transport is kept beside its successor at most."""


class Cargo(Protocol):
    """What a transport carries."""

    direction: str

    async def load(self, transport: PeerTransport) -> None:
        """Make what is on the transport equal to what is wanted; called again after each change."""

    async def relieved(self) -> None:
        """Return when what was on the transport before is not needed any more."""


class Carrier:
    """Keeps one transport. `spawn` runs something beside; `doubt` finds out whether the seat still stands; `over` is told that it does not."""

    def __init__(
        self,
        cargo: Cargo,
        *,
        make: Callable[[str], Coroutine[None, None, PeerTransport]],
        spawn: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
        doubt: Callable[[], Coroutine[None, None, None]],
        over: Callable[[str], None],
    ) -> None:
        self._cargo, self._make, self._spawn, self._doubt, self._over = cargo, make, spawn, doubt, over
        self.transport: PeerTransport | None = None
        self._leaving: PeerTransport | None = None
        self._gone: set[str] = set()
        self._dirty, self._woken = asyncio.Event(), asyncio.Event()
        self._pass: asyncio.Task[None] | None = None
        self._failures = 0
        self._ahead = False
        self._closing: set[asyncio.Task[None]] = set()
        self._running = spawn(self._run())

    def changed(self) -> None:
        """Have the cargo loaded: its wishes changed."""
        self._dirty.set()

    def gone(self, transport_id: str) -> None:
        """Make a new transport if the server closed the one in use; the event may be here before the answer that names it."""
        self._gone.add(transport_id)
        if self.transport is not None and self.transport.id == transport_id:
            self.restart()

    def restart(self, *, keep: bool = False) -> None:
        """Make a new transport now. With `keep` the one in use goes on until the new one has taken over."""
        if self._pass is not None:
            self._pass.cancel()
        self._drop(keep=keep)
        self._woken.set()
        self.changed()

    def moved(self, *, keep: bool) -> None:
        """Follow a move, unless a refused order told of it before its event did: then the transport is at the new place already."""
        ahead, self._ahead = self._ahead, False
        if not ahead:
            self.restart(keep=keep)

    async def close(self) -> None:
        """Close for good."""
        self._running.cancel()
        if self._pass is not None:
            self._pass.cancel()
        for transport in (self.transport, self._leaving):
            if transport is not None:
                self._say_goodbye(transport)
        await asyncio.gather(*self._closing)

    async def _run(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            self._woken.clear()
            self._pass = self._spawn(self._once())
            await asyncio.wait({self._pass})
            if not self._pass.cancelled() and (error := self._pass.exception()) is not None:
                await self._failed(error)

    async def _once(self) -> None:
        transport = self.transport or await self._new()
        await self._cargo.load(transport)
        self._failures = 0
        if self._leaving is not None:
            self._spawn(self._relieve(self._leaving))

    async def _new(self) -> PeerTransport:
        transport = await self._make(self._cargo.direction)
        if transport.id in self._gone:
            await transport.close()
            raise ApiError("transport_not_found", "it was closed while it was made", 404)
        transport.on_lost = lambda: self._lost(transport)
        self.transport = transport
        return transport

    def _lost(self, transport: PeerTransport) -> None:
        if self.transport is transport:
            self.restart()

    async def _relieve(self, leaving: PeerTransport) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_OVERLAP):
                await self._cargo.relieved()
        if self._leaving is leaving:
            self._leaving = None
        self._say_goodbye(leaving)

    async def _failed(self, error: BaseException) -> None:
        if not isinstance(error, ApiError | OSError | TimeoutError):
            raise error
        code = error.code if isinstance(error, ApiError) else ""
        if isinstance(error, ApiError) and error.over:
            return self._over(code)
        self._failures += 1
        self._ahead |= code == "stale_epoch"
        self._drop(keep=code == "stale_epoch")
        self.changed()
        if self._failures > 1 or code == "media_server_unavailable":
            self._spawn(self._doubt())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), backoff(self._failures))
        return None

    def _drop(self, *, keep: bool) -> None:
        transport, self.transport = self.transport, None
        if transport is None:
            return
        if keep and transport.state == "connected":
            transport, self._leaving = self._leaving, transport
        if transport is not None:
            self._say_goodbye(transport)

    def _say_goodbye(self, transport: PeerTransport) -> None:
        task = asyncio.create_task(transport.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def backoff(tries: int) -> float:
    """Return the seconds before try number `tries`: nearly none, then longer, never over 5; not in step with others'."""
    return 0.05 if tries <= 1 else min(5.0, 0.25 * 2.0 ** min(tries - 2, 10)) * random.uniform(0.75, 1.25)
