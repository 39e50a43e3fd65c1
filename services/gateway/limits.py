"""Rate limits: per API key, per participant, and per address for what fails to authenticate. Kept in Redis or in this process.

A limit protects the system, so it never takes it down: while Redis is away this process counts by itself.
"""

import asyncio
import ipaddress
from functools import lru_cache
from typing import cast

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from contracts.failure import RateLimited
from services.gateway.identity import Identity
from services.gateway.settings import Settings

_PATIENCE = 0.1
"""Seconds that Redis may take to count."""


class Limits:
    """Counts requests and refuses with RateLimited. Windows slide."""

    def __init__(self, settings: Settings) -> None:
        self._key = parse(settings.rate_limit_key)
        self._participant = parse(settings.rate_limit_participant)
        self._failures = parse(settings.rate_limit_failures)
        self._here = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared = _shared(settings) if settings.rate_limit_storage == "redis" else None

    async def admit(self, identity: Identity) -> None:
        """Count one request of a verified caller."""
        if identity.seated and identity.participant is not None and identity.meeting is not None:
            await self._count(self._participant, "participant", identity.tenant, identity.meeting, identity.participant)
        else:
            await self._count(self._key, "key", identity.key)

    async def knock(self, address: str) -> None:
        """Refuse an address that failed to authenticate too often, before anything is looked up for it."""
        if not await self._here.test(self._failures, "address", network_of(address)):
            raise RateLimited

    async def failed(self, address: str) -> None:
        """Count one request that could not be authenticated; always in this process, so that it costs nobody anything."""
        await self._here.hit(self._failures, "address", network_of(address))

    async def _count(self, limit: RateLimitItem, *names: str) -> None:
        if not await self._hit(limit, *names):
            raise RateLimited

    async def _hit(self, limit: RateLimitItem, *names: str) -> bool:
        if self._shared is not None:
            try:
                async with asyncio.timeout(_PATIENCE):
                    return await self._shared.hit(limit, *names)
            except (RedisError, OSError, TimeoutError):
                pass
        return await self._here.hit(limit, *names)


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Return what one customer of a provider holds: an IPv4 address (also as a socket for both kinds says it), an IPv6 network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))


def _shared(settings: Settings) -> SlidingWindowCounterRateLimiter:
    # `limits` hands its options on to redis-py but types them as plain values only.
    no_retries = cast(dict[str, bool], {"socket_timeout": None, "retry": Retry(NoBackoff(), 0)})
    storage = RedisStorage(
        f"async+{settings.redis_url}",
        implementation="redispy",
        key_prefix=f"{settings.redis_prefix}limits",
        socket_connect_timeout=_PATIENCE,
        **no_retries,
    )
    return SlidingWindowCounterRateLimiter(storage)
