"""What a flow works with. Built once, in `main.py`."""

from dataclasses import dataclass

from services.kendra.events import Events
from services.kendra.media import Media
from services.kendra.servers import Servers
from services.kendra.store import Store


@dataclass(frozen=True, slots=True)
class World:
    """Everything a flow can reach."""

    store: Store
    media: Media
    events: Events
    servers: Servers
