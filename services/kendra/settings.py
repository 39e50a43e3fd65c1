"""What an operator can set; every name has the prefix DOORDARSHAN_. Durations are seconds."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One kendra process."""

    model_config = SettingsConfigDict(env_prefix="DOORDARSHAN_", frozen=True)

    postgres_url: str
    amqp_url: str
    redis_url: str
    redis_prefix: str = ""
    log: Literal["json", "text"] = "text"
    admin_host: str = "127.0.0.1"
    admin_port: int = 0
    command_queue: Literal["classic", "quorum"] = "classic"
    postgres_connections: int = Field(default=16, ge=2)
    policy: Path | None = None
    """A placement policy (TOML, `policy.py`); without one meetings are placed as documented."""

    lease: float = Field(default=5.0, ge=0.5)
    """A media server whose row is older cannot be asked."""
    keep_router: float = Field(default=20.0, ge=0.0)
    """The longest that a drained meeting's old router goes on forwarding while its clients change over."""
    seat_unused: float = 60.0
    """A seat without a transport this long after its join, or after the meeting moved, may be given up."""
    seat_lost: float = 20.0
    """… and not before its last transport has been gone this long."""
    seat_unseen: float = 30.0
    """A transport that never connected holds a seat only while somebody was seen in it within this."""
    meeting_empty: float = 300.0
    """A meeting without a participant ends after this."""
    server_silent: float = 600.0
    """A media server that renewed no lease for so long, and whose rows nobody cleared, has them cleared."""
    server_forgotten: float = 86_400.0
    """That a media server was to be drained is remembered for so long after the last of it."""
    sweep_unheard: float = Field(default=10.0, ge=0.1)
    """A kendra that sweeps, and that the database did not hear of for so long, loses the sweep to another."""
    steps_kept: float = 86_400.0
    """How long a command's repeat is recognised; the rows of who left are kept as long."""
    events_kept: float = 30 * 86_400.0
    """How far back a running meeting's history goes; the log of one that ended goes with it."""
    stream_kept: float = Field(default=86_400.0, ge=1)
    """How long the Redis Stream of an ended meeting can be read."""
    stream_length: int = Field(default=10_000, ge=100)
    """About how many events a Redis Stream has; who missed more fetches the meeting."""
    replies_kept: float = Field(default=60.0, ge=0.1)
    """The reply queue of a process outlives it so long, so that a lost connection loses no reply."""
    dead_kept: float = 7 * 86_400.0
    """What is left in the queue `dead` for so long is dropped."""
    placements_kept: float = 30 * 86_400.0
    """How long decisions can be explained."""
    meetings_kept: float = 30 * 86_400.0
    """How long the numbers of an ended meeting go on; longer than any participant token holds."""
