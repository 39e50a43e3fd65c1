"""A participant that gets over whatever breaks, without being told: a moved meeting, a media server or a worker that died, a broken
transport, a stream of events that ended or lost some, gateways that went away.

It keeps wishes (what to send, whom to receive) apart from what carries them, as the page's client does.
"""

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from services.cli.participant.api import ApiError, JsonObject, ServerEvent
from services.cli.participant.cargo import Publications, Subscriptions, View
from services.cli.participant.carrier import Carrier
from services.cli.participant.log import Log
from services.cli.participant.media import Signature
from services.cli.participant.participant import TRACKS, Participant
from services.cli.participant.received import Received
from services.cli.participant.rtc import PeerTransport

CONNECTING = 5.0
"""Seconds that a transport may take to connect before another is made."""
_READY = 60.0


@dataclass(frozen=True)
class Move:
    """The meeting moved: the new epoch, when it was heard of (monotonic), and whether the old router goes on for a while."""

    epoch: int
    at: float
    kept: bool


class LastingParticipant(Participant):
    """Recovers by itself. `subscribes`: receive whatever the others send, from the join on; else `consume` says what.

    `epoch`, `moves`: where the meeting is, and how it came there. `seen[participant]`: frames and pauses over all moves.
    `over`: why the seat or the meeting is over, or None. `api.history`: every call that was answered.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        token: str,
        meeting: str,
        name: str,
        signature: Signature,
        *,
        verify: bool | ssl.SSLContext = True,
        subscribes: bool = True,
    ) -> None:
        super().__init__(url, token, meeting, name, signature, verify=verify)
        self.subscribes = subscribes
        self.epoch = 0
        self.moves: list[Move] = []
        self.over: str | None = None
        self.producers: dict[str, View] = {}
        self._chosen: set[tuple[str, str]] = set()
        self._publications, self._subscriptions = Publications(self), Subscriptions(self)
        self._carriers: dict[str, Carrier] = {}

    async def join(self) -> None:
        """Take a seat, follow the meeting's events and begin to receive."""
        await self.take_seat()
        self.epoch = cast(int, self.joined["epoch"])
        self._log = Log(self.api, self.here, cast(int, self.joined["lastEventId"]))
        for cargo in (self._publications, self._subscriptions):
            self._carriers[cargo.direction] = Carrier(
                cargo, make=self._make, spawn=self.spawn, doubt=self._prove_seat, over=self._finish
            )
        self._list(cast(list[JsonObject], self.joined["producers"]))
        self.spawn(self.follow())
        self.spawn(self._renew())

    async def connect(self) -> None:
        """Wait until both transports are connected. Raises ApiError when the seat is over, TimeoutError."""
        for carrier in self._carriers.values():
            carrier.changed()
        await self._ready(lambda: all(carrier.transport for carrier in self._carriers.values()))

    async def produce(self, kinds: Sequence[str] = tuple(TRACKS)) -> None:
        """Send the own picture and tone from now on, whatever happens; wait until they are sent. Raises as `connect`."""
        self._publications.kinds = list(kinds)
        self._carriers["send"].changed()
        await self._ready(lambda: set(self._publications.producers) == set(kinds))

    def pause(self, kind: str, paused: bool = True) -> None:
        """Pause (or resume) what is sent of a kind; it comes back paused after a move."""
        (self._publications.paused.add if paused else self._publications.paused.discard)(kind)
        self._carriers["send"].changed()

    async def consume(self, producer_id: str) -> Received:
        """Receive a producer, and what takes its place after a move; wait until it is. Raises as `connect`, or what it was refused with."""
        view = self.producers[producer_id]
        self._chosen.add((view.participant, view.kind))
        self._subscriptions.wanted[producer_id] = view
        self._carriers["recv"].changed()
        cargo = self._subscriptions
        await self._ready(lambda: producer_id in cargo.current or producer_id in cargo.refused)
        if producer_id in cargo.refused:
            raise cargo.refused[producer_id]
        return cargo.current[producer_id]

    async def close(self) -> None:
        """Close without a word to the meeting but DTLS' own goodbye."""
        for carrier in self._carriers.values():
            await carrier.close()
        await super().close()

    async def follow(self) -> None:
        """Follow the meeting's events until the seat is over."""
        try:
            async for event in self._log.events():
                await self.told(event)
        except ApiError as error:
            self._finish(error.code)

    async def told(self, event: ServerEvent) -> None:
        """Take in one event: each once, in order; after a gap the meeting is fetched."""
        await super().told(event)
        if event.type in ("gap", "LogReset"):
            await self._reconcile()
        elif self._log.is_new(event):
            self._apply(event)
        await self.notify()

    def _apply(self, event: ServerEvent) -> None:
        body, own = event.body, event.body.get("participantId") == self.name
        match event.type:
            case "MeetingMoved":
                self._moved(cast(int, body["epoch"]), kept=body.get("keepUntil") is not None)
            case "MeetingEnded":
                self._finish("meeting_not_found")
            case "ParticipantReplaced" | "ParticipantLeft" if own:
                self._finish("stale_instance")
            case "ParticipantLeft":
                self._left(str(body["participantId"]))
            case "TransportClosed":
                self._carriers[str(body["direction"])].gone(str(body["transportId"]))
            case "ProducerCreated":
                self._list([{**body, "id": body["producerId"]}])
            case "ProducerPaused" | "ProducerResumed" if body["producerId"] in self.producers:
                self.producers[str(body["producerId"])].paused = event.type == "ProducerPaused"
            case "ProducerClosed":
                self._close([str(body["producerId"])])
            case "ConsumerClosed" if body["reason"] in ("closed", "producer_closed"):
                self._subscriptions.closed(str(body["producerId"]), str(body["consumerId"]))
            case _:
                pass

    def _moved(self, epoch: int, *, kept: bool) -> None:
        """Everything of the older epoch is over; what carried it may go on until its successor has taken over."""
        if epoch <= self.epoch:
            return
        self.epoch = epoch
        self.moves.append(Move(epoch, time.monotonic(), kept))
        self._close(list(self.producers), moved=True)
        for carrier in self._carriers.values():
            carrier.moved(keep=kept)

    def _list(self, producers: list[JsonObject]) -> None:
        """Take in producers of the others; receive those that are wanted."""
        self.learn(producers)
        for one in producers:
            view = View(str(one["id"]), str(one["participantId"]), str(one["kind"]), bool(one["paused"]))
            if view.participant == self.name or view.id in self.producers:
                continue
            self.producers[view.id] = view
            if self.subscribes or (view.participant, view.kind) in self._chosen:
                self._subscriptions.wanted[view.id] = view
                self._carriers["recv"].changed()

    def _left(self, participant: str) -> None:
        self._close([one.id for one in self.producers.values() if one.participant == participant])
        self._subscriptions.expect_nothing_of(participant)

    def _close(self, producers: list[str], *, moved: bool = False) -> None:
        for id in producers:
            self.producers.pop(id, None)
            self._subscriptions.forget(id, moved=moved)

    async def _reconcile(self) -> None:
        """After a gap: make what is known equal to the meeting's snapshot, the own transports too."""
        asked = {name: carrier.transport for name, carrier in self._carriers.items()}
        details = await self._log.snapshot()
        if self.name not in _ids(details["participants"], "participantId"):
            self._finish("stale_instance")
            return
        self._moved(cast(int, details["epoch"]), kept=False)
        for name, transport in asked.items():
            if transport is not None and transport.id not in _ids(details["ownTransports"], "id"):
                self._carriers[name].gone(transport.id)
        self._close([id for id in self.producers if id not in _ids(details["producers"], "id")])
        self._list(cast(list[JsonObject], details["producers"]))

    async def _make(self, direction: str) -> PeerTransport:
        transport = await self.new_transport(direction, CONNECTING)
        if direction == "send":
            self.send_transport = transport
        else:
            self.recv_transport = transport
        await self.notify()
        return transport

    async def _prove_seat(self) -> None:
        """Join again as the same instance: it tells whether the seat still stands, and renews the token."""
        try:
            await self.take_seat()
        except ApiError as error:
            if error.over:
                self._finish(error.code)

    async def _renew(self) -> None:
        """Renew the token each time four fifths of its life are over."""
        while self.over is None:
            await asyncio.sleep(max(10.0, 0.8 * (_expiry(self.api.token) - time.time())))
            await self._prove_seat()

    def _finish(self, code: str) -> None:
        if self.over is None:
            self.over = code
            for carrier in self._carriers.values():
                self.spawn(carrier.close())
            self.spawn(self.notify())

    async def _ready(self, condition: Callable[[], bool]) -> None:
        await self.until(lambda: self.over is not None or condition(), _READY)
        if self.over is not None:
            raise ApiError(self.over, "the seat or the meeting is over")


def _ids(listed: JsonValue, name: str) -> set[str]:
    return {str(one[name]) for one in cast(list[JsonObject], listed)}


def _expiry(token: str) -> float:
    """Return when a token ends, by its own claim."""
    claims = token.split(".")[1]
    return float(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"])
