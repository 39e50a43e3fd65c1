"""What closes without an order: DTLS closed or failed, consent lost. A close in memory is never undone.

It is written, with its events, in its meeting's line: at once, and before that line's next command if that failed.
"""

from collections.abc import Callable
from functools import partial

import structlog

from contracts.events import ClosedBecause
from contracts.failure import MeetingNotFound, StaleEpoch
from services.media_server.lines import Key
from services.media_server.registry import Registry
from services.media_server.room import LiveTransport, Room
from services.media_server.store import Allocated, Store
from sfu.transport import WebRtcTransport

log = structlog.stdlib.get_logger("media server")

REASONS: dict[str, ClosedBecause] = {
    "dtls_closed": "dtls_closed",
    "dtls_failed": "dtls_failed",
    "consent_lost": "consent_lost",
}


class Closings:
    """`write_soon` puts a line's debts into that line; `told` is called once a meeting's log has new events."""

    def __init__(
        self,
        registry: Registry,
        store: Store,
        *,
        write_soon: Callable[[Key], None],
        told: Callable[[Allocated], None],
    ) -> None:
        self._registry = registry
        self._store = store
        self._write_soon = write_soon
        self._told = told

    def watch(self, room: Room, transport: LiveTransport) -> None:
        """Take note when the transport closes by itself."""
        transport.media.on_closed = partial(self._closed, room)

    @property
    def unwritten(self) -> list[Key]:
        """The lines that have closings to write."""
        return [key for key, room in self._registry.rooms.items() if room.unwritten]

    def _closed(self, room: Room, transport: WebRtcTransport, reason: str) -> None:
        closing = room.hanging_from(REASONS.get(reason, "closed"), transports=(transport.id,))
        if not closing:
            return
        log.info("transport closed by itself", transport=transport.id, reason=reason, meeting=room.meeting)
        room.close(closing)
        room.unwritten.append(closing)
        self._write_soon(room.key)

    async def write(self, key: Key) -> None:
        """Write what closed there, in one transaction. Raises Unavailable; then it is still to be written.

        When the meeting is elsewhere or over there is nobody to tell; the rows go all the same.
        """
        room = self._registry.rooms.get(key)
        if room is None or not room.unwritten:
            return
        closings = tuple(room.unwritten)
        of = room.of
        told = 0
        try:
            async with self._store.writing(of) as record:
                for closing in closings:
                    told += await record.closed(closing)
        except (StaleEpoch, MeetingNotFound):
            told = 0
            await self._store.forget_transports([id for closing in closings for id in closing.transports])
        del room.unwritten[: len(closings)]
        if told:
            self._told(of)
