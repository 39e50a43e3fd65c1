"""The demo tenant of `up`: made once, with one API key that this checkout keeps, and the link that joins its meeting.

The key may do everything, `operator` included: whoever runs `up` operates this system, and the other commands
(`check`, `explain`, `drain`) use it. The link's token may do only what a participant needs.
"""

import os
import time

import jwt
import psycopg

from contracts.actor import Grant
from contracts.ids import ApiKeyId
from services.cli import store
from services.cli.stack.errors import CannotRun
from services.cli.stack.secrets import Secrets
from services.sealing import Sealing

TENANT = "demo"
MEETING = "demo"
CLUSTER_SECRET = "DOORDARSHAN_CLUSTER_SECRET"
_LINK_GRANTS = (Grant.CREATE, Grant.JOIN, Grant.PRODUCE, Grant.CONSUME)
_LINK_SECONDS = 30 * 86_400
_RENEW_BEFORE = 86_400


def cluster_secret(secrets: Secrets) -> str:
    """Return the cluster's secret: the operator's, else this run directory's own."""
    return os.environ.get(CLUSTER_SECRET) or secrets.get("cluster_secret")


def put_key(postgres: str, cluster: str, tenant: str, key: str, *, secret: str, grants: tuple[Grant, ...]) -> None:
    """Make a tenant with an API key, or bring that key back to this secret and these grants."""
    sealed = Sealing(cluster).seal(ApiKeyId(key), secret)
    try:
        with psycopg.connect(postgres) as connection:
            connection.execute(store.MAKE_TENANT, (tenant, tenant))
            connection.execute(store.PUT_KEY, (key, tenant, sealed, [grant.value for grant in grants]))
    except psycopg.Error as error:
        raise CannotRun(f"the demo key cannot be written: {' '.join(str(error).split())}") from None


def demo_link(url: str, postgres: str, secrets: Secrets) -> str:
    """Return the link that joins the demo meeting; the same each time until a day before its token ends."""
    key = secrets.find("demo_key") or secrets.put("demo_key", f"demo-{secrets.get('demo_key_suffix')[:8]}")
    secret = secrets.get("demo_key_secret")
    put_key(postgres, cluster_secret(secrets), TENANT, key, secret=secret, grants=tuple(Grant))
    return f"{url}/#token={_token(key, secret, secrets)}"


def _token(key: str, secret: str, secrets: Secrets) -> str:
    """Return the kept token while it is good for another day, else a new one of 30 days."""
    now = int(time.time())
    kept = secrets.find("demo_token")
    if kept is not None and jwt.decode(kept, options={"verify_signature": False})["exp"] > now + _RENEW_BEFORE:
        return kept
    claims = {"iss": key, "exp": now + _LINK_SECONDS, "meeting": MEETING, "grants": [g.value for g in _LINK_GRANTS]}
    return secrets.put("demo_token", jwt.encode(claims, secret, "HS256"))
