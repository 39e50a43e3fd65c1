"""What boots of this server's name left that ran before: their rows go. Kendra moves the meetings, and tells them; nobody else does."""

import structlog

from contracts.ids import BootId
from services.media_server.store import Boots

log = structlog.stdlib.get_logger("media server")


async def bury_earlier_boots(boots: Boots, lease: float) -> None:
    """Clear what the boots before this one left under its name. Raises Unavailable; then it is to be done again."""
    for boot in await boots.earlier_boots():
        await bury(boots, boot, lease)


async def bury(boots: Boots, boot: BootId, lease: float) -> None:
    """Clear what an earlier boot left. Raises Unavailable."""
    await boots.bury(boot, lease)
    log.info("buried an earlier boot", boot=boot)
