"""What a boot leaves: at a start the earlier boots' rows, at a stop one's own. The meetings are told, then the rows go."""

from collections.abc import Callable

import structlog

from contracts.failure import MeetingNotFound, StaleEpoch
from contracts.ids import BootId
from services.media_server.store import Allocated, Store

log = structlog.stdlib.get_logger("media server")


async def bury_earlier_boots(store: Store, told: Callable[[Allocated], None]) -> None:
    """Clear what every other boot of this server's name left. Raises Unavailable; then it is to be done again."""
    for boot in await store.earlier_boots():
        await clear(store, boot, told)
        await store.bury(boot)
        log.info("buried an earlier boot", boot=boot)


async def clear(store: Store, boot: BootId, told: Callable[[Allocated], None]) -> None:
    """Tell each meeting of a boot that what it had there is closed, and delete the rows. Raises Unavailable."""
    for of in await store.allocations(boot):
        try:
            if await store.clear(of, boot, "server_restarted"):
                told(of)
        except (StaleEpoch, MeetingNotFound):
            log.debug("nobody to tell", meeting=of.meeting, epoch=of.epoch)
