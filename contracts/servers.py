"""Media servers, for operators: list them, stop and allow placing meetings on them."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from contracts.ids import BootId, MediaServerId
from contracts.message import Command, Done, Message, Reply

DEADLINE = 60.0
"""Seconds in which a server is emptied unless somebody says otherwise."""

Deadline = Annotated[float, Field(ge=0.0, le=86_400.0)]


class MediaServerView(Message):
    """A media server, its lease and its load. `cpu` and `egress` are shares of their limits, 0 to 1."""

    media_server_id: MediaServerId
    boot_id: BootId
    address: str
    live: bool
    draining: bool
    drained_by: datetime | None = None
    """Draining: by when every meeting shall have been moved away."""
    capacity: int
    booked: int
    cpu: float
    egress: float
    meetings: int
    leaving: int = 0
    """Routers that a drain moved away from, and that still forward until their clients are gone."""
    renewed_at: datetime


class ServersListed(Reply):
    """Every media server whose lease is known."""

    servers: list[MediaServerView]


class ListServers(Command[ServersListed]):
    """Which media servers are there?"""

    reads = True


class DrainServer(Command[Done]):
    """Place no new meeting on this server, and move away those that it has, one by one, within `deadline_seconds`."""

    media_server_id: MediaServerId
    deadline_seconds: Deadline = DEADLINE


class UndrainServer(Command[Done]):
    """Place meetings on this server again; what was not moved yet stays."""

    media_server_id: MediaServerId
