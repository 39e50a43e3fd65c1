"""What an operator can set; every name has the prefix DOORDARSHAN_. Durations are seconds."""

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

    lease: float = 5.0
    """A media server whose row is older cannot be asked."""
    keep_router: float = Field(default=20.0, ge=0.0)
    """The longest that a drained meeting's old router goes on forwarding while its clients change over."""
    seat_unused: float = 60.0
    """A seat without a transport this long after its join, or after the meeting moved, may be given up."""
    seat_lost: float = 20.0
    """… and not before its last transport has been gone this long."""
    meeting_empty: float = 300.0
    """A meeting without a participant ends after this."""
    steps_kept: float = 86_400.0
    """How long a command's repeat is recognised; events and the rows of who left are kept as long."""
    placements_kept: float = 30 * 86_400.0
    """How long decisions can be explained."""
    meetings_kept: float = 30 * 86_400.0
    """How long the numbers of an ended meeting go on; longer than any participant token holds."""
