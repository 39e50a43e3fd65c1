"""Rooms that a drain moved away from: they forward until a time that kendra gave, or until their last transport is gone.

They take no order any more, and tell nobody: their epoch is over. The time is kept here too, for a database that is away must
not keep them longer. Their rows go with the allocation.
"""

import asyncio
from collections.abc import Callable

import structlog

from services.media_server.lines import Key
from services.media_server.registry import Registry
from services.media_server.store import Allocated, Unwanted

log = structlog.stdlib.get_logger("media server")


class Leaving:
    """`close` ends an allocation, rows and all; it may be called again for the same one."""

    def __init__(self, registry: Registry, close: Callable[[Allocated], None]) -> None:
        self._registry = registry
        self._close = close
        self._timers: dict[Key, asyncio.TimerHandle] = {}

    def unwanted(self, one: Unwanted) -> None:
        """Close an allocation that its meeting does not want any more, or let it leave for as long as it is kept and used."""
        room = self._registry.rooms.get((one.of.tenant, one.of.meeting))
        if one.keeps <= 0 or room is None or room.epoch != one.of.epoch:
            self._ended(one.of)
            return
        if not room.leaving:
            log.info(
                "the meeting moved; its router forwards on", meeting=room.meeting, epoch=room.epoch, seconds=one.keeps
            )
            room.leaving = True
        self._end_timer(room.key)
        self._timers[room.key] = asyncio.get_running_loop().call_later(one.keeps, self._ended, one.of)
        if not room.transports:
            self._ended(room.of)

    def stop(self) -> None:
        """Wait for nothing any more."""
        for key in tuple(self._timers):
            self._end_timer(key)

    def _ended(self, of: Allocated) -> None:
        self._end_timer((of.tenant, of.meeting))
        self._close(of)

    def _end_timer(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
