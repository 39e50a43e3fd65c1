"""Media servers, for operators: list them, stop and allow placing meetings on them."""

from datetime import datetime

from contracts.ids import BootId, MediaServerId
from contracts.message import Command, Done, Message, Reply


class MediaServerView(Message):
    """A media server, its lease and its load. `cpu` and `egress` are shares of their limits, 0 to 1."""

    media_server_id: MediaServerId
    boot_id: BootId
    address: str
    live: bool
    draining: bool
    capacity: int
    booked: int
    cpu: float
    egress: float
    meetings: int
    renewed_at: datetime


class ServersListed(Reply):
    """Every media server whose lease is known."""

    servers: list[MediaServerView]


class ListServers(Command[ServersListed]):
    """Which media servers are there?"""

    reads = True


class DrainServer(Command[Done]):
    """Place no new meeting on this server."""

    media_server_id: MediaServerId


class UndrainServer(Command[Done]):
    """Place meetings on this server again."""

    media_server_id: MediaServerId
