"""`doordarshan token`: mint an access token, as a tenant's backend would, for trying things out."""

import time

import jwt

from contracts.actor import Grant
from contracts.ids import ApiKeyId
from services.cli import store
from services.cli.cluster import checked_id, cluster_database, cluster_sealing
from services.cli.stack.errors import CannotRun
from services.sealing import CannotOpen

PARTICIPANTS_OWN = [Grant.CREATE, Grant.JOIN, Grant.PRODUCE, Grant.CONSUME]


def token(
    key: str,
    /,
    *,
    meeting: str = "*",
    grant: list[Grant] | None = None,
    sub: str | None = None,
    ttl: int = 3600,
) -> None:
    """Print an access token.

    Parameters
    ----------
    key
        The id of an API key of this cluster.
    meeting
        The meeting it is for; any of the key's tenant by default.
    grant
        What it may do; may be repeated. What the key carries of create, join, produce and consume unless said.
    sub
        The participant it names; without one it is an invitation.
    ttl
        Seconds that it is good for.
    """
    secret, carried = _read(key)
    grants = grant or [one for one in PARTICIPANTS_OWN if one in carried]
    if missing := [one for one in grants if one not in carried]:
        raise CannotRun(f"key {key} does not carry {', '.join(missing)}")
    claims: dict[str, object] = {"iss": key, "exp": int(time.time()) + ttl, "grants": list(grants)}
    claims["meeting"] = meeting if meeting == "*" else checked_id("meeting", meeting)
    if sub is not None:
        claims["sub"] = checked_id("participant", sub)
    print(jwt.encode(claims, secret, "HS256"))


def _read(key: str) -> tuple[str, list[str]]:
    with cluster_database() as connection:
        row = connection.execute(store.READ_KEY, (key,)).fetchone()
    if row is None:
        raise CannotRun(f"there is no key {key}, or it is revoked")
    try:
        return cluster_sealing().open(ApiKeyId(key), row[0]), row[1]
    except CannotOpen as wrong:
        raise CannotRun(str(wrong)) from None
