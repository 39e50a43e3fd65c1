"""What an operator states about a media server: its name, its addresses, its size, and where broker and database are."""

import secrets
import socket
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.ids import BootId, Id, MediaServerId
from contracts.rtp import IceServer

STREAMS_PER_WORKER = 1_024
"""What one worker of the reference plane is booked with unless the operator says otherwise."""

HEARTBEATS_A_LEASE = 3
"""A lease survives a renewal that fails, and one that is late."""


class Settings(BaseSettings):
    """Read from the environment; every name begins with `DOORDARSHAN_`."""

    model_config = SettingsConfigDict(env_prefix="DOORDARSHAN_", extra="ignore")

    server: Id = Field(default_factory=lambda: socket.gethostname().replace(".", "-")[:64])
    postgres_url: str = "postgresql://postgres@127.0.0.1:5432/doordarshan"
    amqp_url: str = "amqp://guest:guest@127.0.0.1:5672/"
    listen_ip: str = "127.0.0.1"
    announced_address: str | None = None
    media_port: int = Field(default=0, ge=0, le=65_535)
    workers: int = Field(default=1, ge=1, le=64)
    plane: Literal["reference", "silent"] = Field(
        default="reference", description="`silent` carries out every order and forwards nothing"
    )
    capacity: int | None = Field(default=None, ge=0)
    egress_limit: float = Field(default=1e9, gt=0, description="bit/s that this server may send")
    ice_servers: list[IceServer] = Field(default_factory=list)
    admin_host: str = "127.0.0.1"
    admin_port: int = Field(default=0, ge=0, le=65_535)
    log: Literal["json", "text"] = "text"
    lease: float = Field(
        default=5.0, gt=0, description="how long kendra believes a renewal, s; the same for every kendra"
    )
    heartbeat: float = Field(default=1.0, gt=0, validate_default=True, description="how often it is renewed, s")
    reconcile: float = Field(default=60.0, gt=0, description="how often memory, rows and wishes are compared, s")
    unheard: float = Field(default=10.0, gt=0, description="renewed no longer than this without a broker, s")

    steps_kept: float = Field(default=86_400.0, gt=0, description="a command's repeat is recognised this long, s")
    commands_kept: float = Field(default=30.0, ge=0.1, description="its command queue outlives it this long, s")
    replies_kept: float = Field(default=60.0, ge=0.1, description="its reply queue outlives it this long, s")

    @field_validator("heartbeat")
    @classmethod
    def _well_below_the_lease(cls, heartbeat: float, info: ValidationInfo) -> float:
        lease = info.data.get("lease")
        if lease is not None and heartbeat > lease / HEARTBEATS_A_LEASE:
            raise ValueError(
                f"is more than a third of DOORDARSHAN_LEASE ({lease:g}): one late renewal would end the lease"
            )
        return heartbeat

    @property
    def name(self) -> MediaServerId:
        """The name that stays."""
        return MediaServerId(self.server)

    @property
    def address(self) -> str:
        """Where media is sent to, as operators see it."""
        return self.announced_address or self.listen_ip

    @property
    def streams(self) -> int:
        """The capacity in streams."""
        return STREAMS_PER_WORKER * self.workers if self.capacity is None else self.capacity

    def port_of(self, worker: int) -> int:
        """Return the media port of the worker with that number; 0 takes a free one."""
        return self.media_port + worker if self.media_port else 0


def new_boot() -> BootId:
    """Return the id of this start, new each time."""
    return BootId(secrets.token_hex(6))
