"""What a lasting participant's two transports carry: what it sends, and what it wants to receive of the others."""

import asyncio
from dataclasses import dataclass

from services.cli.participant.api import ApiError
from services.cli.participant.participant import Participant
from services.cli.participant.received import Received
from services.cli.participant.rtc import PeerTransport

OVERLAP = 4.0
"""Seconds that sending goes on at the old place after a move: the others change over to the new one meanwhile."""
AT_ONCE = 4
"""Consumers that are asked for at once; a server lets at most eight commands of a seat wait."""


@dataclass
class View:
    """A producer of another participant, as the meeting's log tells it."""

    id: str
    participant: str
    kind: str
    paused: bool


class Publications:
    """What is sent: kinds that outlive the producers which carry them; what is paused comes back paused."""

    direction = "send"

    def __init__(self, participant: Participant) -> None:
        self._participant = participant
        self.kinds: list[str] = []
        self.paused: set[str] = set()
        self.producers: dict[str, str] = {}
        self._told: set[str] = set()
        self._on: PeerTransport | None = None

    async def load(self, transport: PeerTransport) -> None:
        """Send what is wanted; tell pauses."""
        if self._on is not transport:
            self._on, self.producers, self._told = transport, {}, set()
            self._participant.sending.clear()
        for kind in list(self.kinds):
            if kind not in self.producers:
                await self._produce(transport, kind)
            elif (kind in self.paused) != (kind in self._told):
                await self._tell(kind)
        await self._participant.notify()

    async def _produce(self, transport: PeerTransport, kind: str) -> None:
        paused = kind in self.paused
        self.producers[kind] = await self._participant.produce_on(transport, kind, paused=paused)
        if paused:
            self._told.add(kind)

    async def _tell(self, kind: str) -> None:
        verb = "pause" if kind in self.paused else "resume"
        await self._participant.api.post(f"{self._participant.mine}/producers/{self.producers[kind]}/{verb}")
        self._told ^= {kind}

    async def relieved(self) -> None:
        """Wait for the others: nobody tells when they have changed over."""
        await asyncio.sleep(OVERLAP)


class Subscriptions:
    """What is received: the producers that are wanted, and what came of each on the transport in use."""

    direction = "recv"

    def __init__(self, participant: Participant) -> None:
        self._participant = participant
        self.wanted: dict[str, View] = {}
        self.current: dict[str, Received] = {}
        self.refused: dict[str, ApiError] = {}
        self._on: PeerTransport | None = None
        self._carried: dict[str, tuple[str, str]] = {}
        self._expected: set[tuple[str, str]] = set()

    async def load(self, transport: PeerTransport) -> None:
        """Consume what is wanted and not received yet."""
        if self._on is not transport:
            self._expected = set(self._carried.values())
            self._on, self.current, self._carried = transport, {}, {}
        missing = [view for view in self.wanted.values() if view.id not in self.current]
        for first in range(0, len(missing), AT_ONCE):
            batch = (self._consume(transport, view) for view in missing[first : first + AT_ONCE])
            for outcome in await asyncio.gather(*batch, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
        await self._participant.notify()

    async def _consume(self, transport: PeerTransport, view: View) -> None:
        try:
            self.current[view.id] = await self._participant.consume_on(transport, view.id)
            self._carried[view.id] = (view.participant, view.kind)
        except ApiError as error:
            if error.over or error.retryable or error.code in ("stale_epoch", "transport_not_found"):
                raise
            self.wanted.pop(view.id, None)  # this producer cannot be received; the others can
            self.refused[view.id] = error

    def closed(self, producer: str, consumer: str) -> None:
        """The server closed this consumer; it may have been one of an older transport."""
        if (current := self.current.get(producer)) is not None and current.consumer_id == consumer:
            self.forget(producer)

    def forget(self, producer: str, *, moved: bool = False) -> None:
        """Receive a producer no more: it was closed. `moved`: another comes in its place."""
        self.wanted.pop(producer, None)
        self.current.pop(producer, None)
        if not moved:
            self._expected.discard(self._carried.pop(producer, ("", "")))

    def expect_nothing_of(self, participant: str) -> None:
        """Do not wait for a participant that left."""
        self._expected = {one for one in self._expected if one[0] != participant}

    async def relieved(self) -> None:
        """Wait until each picture and sound that was received has come again, if it is still sent."""
        await self._participant.until(lambda: self._expected <= self._arrived(), 60)

    def _arrived(self) -> set[tuple[str, str]]:
        views = self.wanted.values()
        return {
            (view.participant, view.kind)
            for view in views
            if view.paused or ((one := self.current.get(view.id)) is not None and one.frames > 0)
        }
