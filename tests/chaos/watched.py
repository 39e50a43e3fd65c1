"""A participant as chaos needs it: each attempt of each call is noted, and some acknowledged orders are repeated, as a lossy network does."""

import asyncio
import random
import time
from collections.abc import Sequence
from urllib.parse import urlsplit
from uuid import uuid4

from pydantic import JsonValue

from services.cli.participant.api import Api, ApiError, JsonObject
from services.cli.participant.lasting import LastingParticipant
from services.cli.participant.media import Signature
from services.cli.participant.participant import TRACKS
from services.cli.participant.rtc import PeerTransport
from tests.chaos.history import Attempt

REPEATED = 0.1
"""Which share of acknowledged orders is sent once more with the same key."""


class WatchedApi(Api):
    """Notes every attempt under a caller's name."""

    def __init__(self, urls: Sequence[str], token: str, caller: str, attempts: list[Attempt], **more: float) -> None:
        super().__init__(urls, token, **more)
        self._caller, self._attempts = caller, attempts

    async def _once(self, method: str, url: str, body: JsonObject | None, key: str | None) -> tuple[int, JsonValue]:
        at, path = time.monotonic(), urlsplit(url).path
        try:
            status, answer = await super()._once(method, url, body, key)
        except ApiError as error:
            self._note(method, path, key, at, error.status, error.code)
            raise
        self._note(method, path, key, at, status, None, answer if isinstance(answer, dict) else {})
        return status, answer

    def _note(  # noqa: PLR0917
        self,
        method: str,
        path: str,
        key: str | None,
        at: float,
        status: int,
        code: str | None,
        reply: JsonObject | None = None,
    ) -> None:
        seconds = time.monotonic() - at
        self._attempts.append(Attempt(self._caller, method, path, key, at, seconds, status, code, reply or {}))


class Watched(LastingParticipant):
    """Sends only what it is told to send, writes the key of a create producer into its appData, and repeats now and then."""

    def __init__(  # noqa: PLR0917
        self,
        urls: Sequence[str],
        token: str,
        meeting: str,
        name: str,
        signature: Signature,
        attempts: list[Attempt],
        chance: random.Random,
    ) -> None:
        super().__init__(urls, token, meeting, name, signature)
        self._chance = chance
        self.api: Api = WatchedApi(urls, token, f"{meeting}/{name}", attempts, budget=20.0)

    async def send(self, kinds: Sequence[str]) -> None:
        """Send these kinds from now on; wait until they are sent."""
        self._publications.kinds = list(kinds)
        self._carriers["send"].changed()
        await self._ready(lambda: set(self._publications.producers) == set(kinds))

    async def produce_on(self, transport: PeerTransport, kind: str, *, paused: bool = False) -> str:
        """As its parent's, with a key that can be found again in the log; now and then the order is sent twice."""
        sending = transport.send(TRACKS[kind](self.signature))
        key = uuid4().hex
        body: JsonObject = {
            "transportId": transport.id,
            "kind": kind,
            "rtpParameters": sending.parameters,
            "paused": paused,
            "appData": {"key": key},
        }
        producer = str((await self.api.post(f"{self.mine}/producers", body, key=key))["id"])
        if self._chance.random() < REPEATED:
            self.spawn(self._again(body, key))
        await sending.start()
        self.sending[producer] = sending
        return producer

    async def _again(self, body: JsonObject, key: str) -> None:
        """Repeat what was acknowledged; after a move its epoch is over, and then it is refused."""
        try:
            async with asyncio.timeout(10.0):
                await self.api.post(f"{self.mine}/producers", body, key=key)
        except (ApiError, TimeoutError):
            return
