"""Which deployment a command talks to, and as whom: what was said, else DOORDARSHAN_URL, _KEY and _SECRET, else the `up` of this checkout."""

import os
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jwt

from services.cli.stack.errors import CannotRun
from services.cli.stack.rundir import RunDirectory


@dataclass(frozen=True)
class Deployment:
    """A gateway's address and an API key that it knows."""

    url: str
    key: str
    secret: str
    verify: bool | ssl.SSLContext = True

    @classmethod
    def find(cls, url: str | None, key: str | None, secret: str | None, *, verify: bool = True) -> "Deployment":
        """Return the deployment meant. Raises CannotRun with what is missing."""
        run = RunDirectory.of_up()
        _, facts = run.state()
        url = url or os.environ.get("DOORDARSHAN_URL") or facts.get("url")
        key = key or os.environ.get("DOORDARSHAN_KEY") or run.secrets.find("demo_key")
        secret = secret or os.environ.get("DOORDARSHAN_SECRET") or run.secrets.find("demo_key_secret")
        if not url:
            raise CannotRun("nothing runs here: start it with `make up`, or name a deployment with --url")
        if not key or not secret:
            raise CannotRun("name an API key with --key and --secret, or DOORDARSHAN_KEY and DOORDARSHAN_SECRET")
        url = url.rstrip("/")
        return cls(url, key, secret, _trust(facts, url) if verify else False)

    def token(self, meeting: str, grants: Sequence[str], seconds: int = 300) -> str:
        """Return an access token for one meeting."""
        claims = {"iss": self.key, "exp": int(time.time()) + seconds, "meeting": meeting, "grants": list(grants)}
        return jwt.encode(claims, self.secret, "HS256")


def _trust(facts: Mapping[str, str], url: str) -> bool | ssl.SSLContext:
    """The `up` of this checkout may serve a certificate that it signed itself: that one file is trusted for it."""
    if url == facts.get("url") and "certificate" in facts:
        return ssl.create_default_context(cafile=facts["certificate"])
    return True
