"""Fenced: this boot was buried while it lived, for it was cut off or stood still; its meetings are elsewhere by now.

Nobody asks it any more, and it answers nothing. What it forwards it forwards on until its clients have gone over to the new place,
for a few seconds at most: they would look at a standing picture otherwise. Then the process ends.
"""

import asyncio
from contextlib import suppress

from services.media_server.registry import Registry

FORWARDS_FOR = 8.0
"""The longest, seconds: ten after it heard of it, nothing of an older epoch may be forwarded any more."""
_LOOKS_EACH = 0.1


async def until_left(registry: Registry, longest: float = FORWARDS_FOR) -> None:
    """Wait until no client has a transport here any more, or it took too long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(longest):
            while any(room.transports for room in registry.rooms.values()):  # noqa: ASYNC110
                await asyncio.sleep(_LOOKS_EACH)
