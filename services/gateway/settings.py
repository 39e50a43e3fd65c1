"""What an operator sets, from the environment (prefix `DOORDARSHAN_`). Nothing has a default that would be a secret."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.sealing import SHORTEST_SECRET

ROOT = Path(__file__).parents[2]


class Settings(BaseSettings):
    """The gateway's settings; times in seconds, rates in the notation of `limits` (`200/second`)."""

    model_config = SettingsConfigDict(env_prefix="DOORDARSHAN_")

    postgres_url: str
    amqp_url: str
    redis_url: str
    redis_prefix: str = ""
    cluster_secret: SecretStr = Field(min_length=SHORTEST_SECRET)

    http_host: str = "127.0.0.1"
    http_port: int = 8080
    admin_host: str = "127.0.0.1"
    admin_port: int = Field(default=0, ge=0, le=65_535)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    web_root: Path = ROOT / "web" / "dist"
    log: Literal["json", "text"] = "text"

    participant_token_lifetime: float = Field(default=3600, gt=0)
    key_cache: float = Field(default=3, ge=0, description="a revoked key works at most this long")
    rate_limit_storage: Literal["memory", "redis"] = "memory"
    rate_limit_key: str = "2000/second"
    rate_limit_participant: str = "600/10 seconds"
    rate_limit_failures: str = "100/minute"
    most_streams: int = Field(default=10_000, gt=0)
    keep_alive: float = Field(default=10, gt=0, description="a comment on a silent event stream")
    seen_each: float = Field(default=10, gt=0, description="kendra is told this often who follows events")
    leaving: float = Field(default=2, ge=0, description="told to stop, it is not ready but serves on for so long")
    replies_kept: float = Field(default=60, ge=0.1, description="its reply queue outlives it")

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("DOORDARSHAN_TLS_CERTIFICATE and DOORDARSHAN_TLS_KEY belong together")
        return self
