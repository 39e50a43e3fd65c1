"""What an operator states about a media server: its name, its addresses, its size, and where broker and database are."""

import os
import secrets
import socket
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.ids import BootId, Id, MediaServerId
from contracts.rtp import IceServer
from sfu.plane import native
from sfu.worker import PlaneName, default_plane

STREAMS_PER_WORKER: dict[PlaneName, int] = {"native": 2_500, "reference": 1_024, "silent": 1_024}
"""What one worker is booked with unless the operator says otherwise. 2,500 pictures of 1.5 Mbit/s keep the native plane's core about four
fifths busy."""

MOST_WORKERS = 64

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
    media_ports: int = Field(
        default=MOST_WORKERS, ge=1, le=MOST_WORKERS, description="so many from that one on can be reached"
    )
    plane: PlaneName = Field(
        default_factory=default_plane,
        validate_default=True,
        description="`silent` carries out every order and forwards nothing",
    )
    workers: int | None = Field(
        default=None, ge=1, le=MOST_WORKERS, description="as many as cores; on any but the native plane one"
    )
    pin: bool = Field(default=False, description="each worker's thread stays on a core of its own")
    worker_watched: float = Field(default=1.0, gt=0, description="how often each worker's loop must have turned, s")
    worker_stuck: float = Field(default=5.0, gt=0, description="one that did not for so long is told of, s")
    worker_lost: float = Field(default=30.0, gt=0, description="and after so long it is taken for dead, s")
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

    @field_validator("plane")
    @classmethod
    def _is_here(cls, plane: PlaneName) -> PlaneName:
        if plane == "native" and native.missing():
            raise ValueError(f"there is no native plane here ({native.missing()}): make up builds it where cargo is")
        return plane

    @field_validator("workers")
    @classmethod
    def _can_be_so_many(cls, workers: int | None, info: ValidationInfo) -> int | None:
        plane, port, ports = (info.data.get(each) for each in ("plane", "media_port", "media_ports"))
        if workers is None:
            return None
        if workers > 1 and plane in ("reference", "silent"):
            raise ValueError(f"the {plane} plane has one: run more media servers, or the native plane")
        if port and ports is not None and (workers > ports or port + workers - 1 > 65_535):
            raise ValueError(f"there are not so many ports from {port} on (DOORDARSHAN_MEDIA_PORTS)")
        return workers

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
        return STREAMS_PER_WORKER[self.plane] * self.number_of_workers if self.capacity is None else self.capacity

    @property
    def number_of_workers(self) -> int:
        """How many workers the process has."""
        if self.workers is not None:
            return self.workers
        most = min(self.media_ports, 65_536 - self.media_port) if self.media_port else MOST_WORKERS
        return min(len(cores()), most) if self.plane == "native" else 1

    @property
    def usable_cores(self) -> int:
        """How many cores the process can keep busy: one a native worker and one for its own loop, if there are so many."""
        return min(len(cores()), self.number_of_workers + 1) if self.plane == "native" else 1

    def core_of(self, worker: int) -> int | None:
        """Return the core that the worker with that number stays on, if they shall."""
        here = cores()
        return here[worker % len(here)] if self.pin else None

    @property
    def ports(self) -> str:
        """The media ports, for a message."""
        last = self.port_of(self.number_of_workers - 1)
        return f"port {self.media_port}" if last == self.media_port else f"ports {self.media_port} to {last}"

    def port_of(self, worker: int) -> int:
        """Return the media port of the worker with that number; 0 takes a free one."""
        return self.media_port + worker if self.media_port else 0


def cores() -> list[int]:
    """Return the cores that this process may run on."""
    return sorted(os.sched_getaffinity(0))


def new_boot() -> BootId:
    """Return the id of this start, new each time."""
    return BootId(secrets.token_hex(6))
