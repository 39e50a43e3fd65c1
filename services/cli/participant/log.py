"""A meeting's log as a client reads it: the stream resumed after whatever ends it, each event taken once, a snapshot after a gap."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

from services.cli.participant.api import Api, ApiError, JsonObject, ServerEvent
from services.cli.participant.carrier import backoff


class Log:
    """Both `events` and `snapshot` go on until they succeed; they raise ApiError only when the seat or the meeting is over."""

    def __init__(self, api: Api, meeting: str, after: int) -> None:
        self._api, self._meeting = api, meeting
        self._heard = self._applied = after

    async def events(self) -> AsyncIterator[ServerEvent]:
        """Yield what is told, for ever; after a loss from the last event that was heard on."""
        tries = 1
        while True:
            try:
                async for event in self._api.events(f"{self._meeting}/events", self._heard):
                    tries = 1
                    self._heard = max(self._heard, event.sequence or 0)
                    yield event
            except ApiError as error:
                _raise_if_over(error)
            tries += 1
            await asyncio.sleep(backoff(tries))

    def is_new(self, event: ServerEvent) -> bool:
        """Tell, once, whether an event was not taken yet."""
        if event.sequence is None or event.sequence <= self._applied:
            return False
        self._applied = event.sequence
        return True

    async def snapshot(self) -> JsonObject:
        """Fetch the meeting; the events that it contains are not new any more."""
        tries = 1
        while True:
            try:
                details = await self._api.get(self._meeting)
            except ApiError as error:
                _raise_if_over(error)
            else:
                self._applied = cast(int, details["lastEventId"])
                return details
            tries += 1
            await asyncio.sleep(backoff(tries))


def _raise_if_over(error: ApiError) -> None:
    if error.over or error.code == "forbidden":
        raise error
