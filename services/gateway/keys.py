"""Tenants and API keys, read from Postgres and remembered for a moment. The only place of the gateway that knows asyncpg.

* What was read is good for `fresh` seconds; so long a revoked key may still work.
* While Postgres is away, what was read goes on for `stale` seconds; what was never read is `unavailable`.
* What does not exist is remembered too, and every memory is bounded: nobody fills it by asking for what is not there.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import asyncpg

from contracts.actor import Grant
from contracts.failure import Unavailable
from contracts.ids import ApiKeyId, TenantId
from services.sealing import Sealing

K = TypeVar("K")
V = TypeVar("V")

READ_KEY = "select tenant, secret, grants from api_keys where id = $1 and revoked_at is null"
READ_ORIGINS = "select allowed_origins from tenants where id = $1"
FIND_ORIGIN = "select exists (select from tenants where $1 = any (allowed_origins))"

LOOK_UP = 1.0
"""Seconds that one look-up may take."""

PAUSE = 1.0
"""Seconds without a new try after a look-up failed, so that a hanging database does not slow every request."""

AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key that is not revoked."""

    id: ApiKeyId
    tenant: TenantId
    secret: str
    grants: frozenset[Grant]


@dataclass(slots=True)
class _Kept(Generic[V]):
    value: V
    at: float


class Remembered(Generic[K, V]):
    """A bounded memory in front of a look-up: fresh, then looked up again (once for all who wait), stale only if that fails."""

    def __init__(self, look_up: Callable[[K], Awaitable[V]], *, fresh: float, stale: float, most: int) -> None:
        self._look_up, self._fresh, self._stale, self._most = look_up, fresh, stale, most
        self._kept: OrderedDict[K, _Kept[V]] = OrderedDict()
        self._asked: dict[K, asyncio.Task[V]] = {}
        self._quiet_until = 0.0

    async def get(self, key: K) -> V:
        """Return what the look-up says or said. Raises Unavailable."""
        kept, now = self._kept.get(key), time.monotonic()
        if kept is not None and now < kept.at + self._fresh:
            return kept.value
        if now >= self._quiet_until:
            try:
                return await asyncio.shield(self._ask(key))
            except AWAY:
                self._quiet_until = time.monotonic() + PAUSE
        if kept is not None and now < kept.at + self._stale:
            return kept.value
        raise Unavailable

    def holds_something(self) -> bool:
        """Say whether anything that was read is still good."""
        oldest = time.monotonic() - self._stale
        return any(kept.at > oldest for kept in self._kept.values())

    def _ask(self, key: K) -> asyncio.Task[V]:
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(self._refresh(key))
            task.add_done_callback(partial(self._settled, key))
        return task

    def _settled(self, key: K, done: asyncio.Task[V]) -> None:
        del self._asked[key]
        if not done.cancelled():
            done.exception()  # whoever waited has it; when nobody did, nobody is to be told

    async def _refresh(self, key: K) -> V:
        async with asyncio.timeout(LOOK_UP):
            value = await self._look_up(key)
        self._kept[key] = _Kept(value, time.monotonic())
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return value


class Keys:
    """Who may call. `fresh` as above; a pool of few connections is enough, for look-ups are rare."""

    def __init__(self, url: str, sealing: Sealing, *, fresh: float, stale: float = 600, most: int = 10_000) -> None:
        self._url, self._sealing = url, sealing
        self._pool: asyncpg.Pool | None = None
        self._keys = Remembered(self._read_key, fresh=fresh, stale=stale, most=most)
        self._origins = Remembered(self._read_origins, fresh=fresh, stale=stale, most=most)
        self._known_origins = Remembered(self._find_origin, fresh=fresh, stale=stale, most=most)

    async def start(self) -> None:
        """Make the pool; Postgres need not be there yet."""
        self._pool = await asyncpg.create_pool(
            self._url, min_size=0, max_size=4, timeout=LOOK_UP, command_timeout=LOOK_UP
        )

    async def stop(self) -> None:
        """Close the pool."""
        if self._pool is not None:
            self._pool.terminate()

    async def key(self, key: ApiKeyId) -> ApiKey | None:
        """Return a key that is not revoked. Raises Unavailable when Postgres is away and the key was not read lately."""
        return await self._keys.get(key)

    async def origins(self, tenant: TenantId) -> frozenset[str]:
        """Return the web origins that a tenant allows. Raises Unavailable."""
        return await self._origins.get(tenant)

    async def is_known_origin(self, origin: str) -> bool:
        """Say whether any tenant allows the origin. Raises Unavailable."""
        return await self._known_origins.get(origin)

    async def usable(self) -> bool:
        """Say whether known callers can be served: Postgres answers, or what was read lately goes on."""
        try:
            async with asyncio.timeout(LOOK_UP):
                return bool(await self._opened().fetchval("select true"))
        except AWAY:
            return self._keys.holds_something()

    async def _read_key(self, key: ApiKeyId) -> ApiKey | None:
        row = await self._opened().fetchrow(READ_KEY, key)
        if row is None:
            return None
        grants = frozenset(grant for grant in Grant if grant.value in row["grants"])
        return ApiKey(key, TenantId(row["tenant"]), self._sealing.open(key, row["secret"]), grants)

    async def _read_origins(self, tenant: TenantId) -> frozenset[str]:
        return frozenset(await self._opened().fetchval(READ_ORIGINS, tenant) or ())

    async def _find_origin(self, origin: str) -> bool:
        return bool(await self._opened().fetchval(FIND_ORIGIN, origin))

    def _opened(self) -> asyncpg.Pool:
        if self._pool is None:
            raise Unavailable("the keys were not opened")
        return self._pool
