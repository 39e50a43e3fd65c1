"""What a boot leaves: at a start the earlier boots' rows, at a stop one's own. The meetings are told, then the rows go."""

from collections.abc import Callable

import structlog

from contracts.failure import MeetingNotFound, StaleEpoch
from contracts.ids import BootId
from services.media_server.store import Allocated, Boots

log = structlog.stdlib.get_logger("media server")


async def bury_earlier_boots(boots: Boots, lease: float, told: Callable[[Allocated], None]) -> None:
    """Clear what the boots before this one left under its name. Raises Unavailable; then it is to be done again."""
    for boot in await boots.earlier_boots():
        await bury(boots, boot, lease, told)


async def bury(boots: Boots, boot: BootId, lease: float, told: Callable[[Allocated], None]) -> None:
    """Clear what an earlier boot left. Raises Unavailable."""
    await clear(boots, boot, told)
    await boots.bury(boot, lease)
    log.info("buried an earlier boot", boot=boot)


async def clear(boots: Boots, boot: BootId, told: Callable[[Allocated], None]) -> None:
    """Tell each meeting of a boot that what it had there is closed, and delete the rows. Raises Unavailable."""
    for of in await boots.allocations(boot):
        try:
            if await boots.clear(of, boot, "server_restarted"):
                told(of)
        except (StaleEpoch, MeetingNotFound):
            await boots.forget(of, boot)
