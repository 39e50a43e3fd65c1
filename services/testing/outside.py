"""What a test session makes in a broker and a Redis that are not its own, and removes there.

AMQP cannot make a vhost: RabbitMQ's management API does, at DOORDARSHAN_RABBITMQ_MANAGEMENT_URL, by default port 15672 of
the same host with the same user. Without it the vhost of the given URL is used as it is.
"""

import asyncio
import base64
import json
import os
import urllib.error
import urllib.request
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import redis.asyncio

_SECONDS = 10.0


def _management(amqp: str) -> tuple[str, str]:
    """Return the API's address without credentials, and the authorization header."""
    parts = urlsplit(os.environ.get("DOORDARSHAN_RABBITMQ_MANAGEMENT_URL") or amqp)
    own = urlsplit(amqp)
    user, password = unquote(parts.username or own.username or ""), unquote(parts.password or own.password or "")
    port = parts.port if parts.scheme.startswith("http") else 15672
    scheme = parts.scheme if parts.scheme.startswith("http") else "http"
    return f"{scheme}://{parts.hostname}:{port}", base64.b64encode(f"{user}:{password}".encode()).decode()


def _call(amqp: str, method: str, path: str, body: object = None) -> None:
    address, authorization = _management(amqp)
    request = urllib.request.Request(f"{address}/api/{path}", method=method, data=json.dumps(body or {}).encode())
    request.add_header("Authorization", f"Basic {authorization}")
    request.add_header("Content-Type", "application/json")
    urllib.request.urlopen(request, timeout=_SECONDS).close()


def _make_vhost(amqp: str, vhost: str) -> str:
    try:
        _call(amqp, "PUT", f"vhosts/{vhost}")
    except (urllib.error.URLError, OSError):
        return amqp
    user = quote(unquote(urlsplit(amqp).username or "guest"), safe="")
    _call(amqp, "PUT", f"permissions/{vhost}/{user}", {"configure": ".*", "write": ".*", "read": ".*"})
    return urlunsplit(urlsplit(amqp)._replace(path=f"/{vhost}"))


async def make_vhost(amqp: str, vhost: str) -> str:
    """Make a vhost and return its URL; without a management API, the given URL."""
    return await asyncio.to_thread(_make_vhost, amqp, vhost)


async def remove_vhost(amqp: str, vhost: str) -> None:
    """Remove a vhost; one that was never made is fine."""
    try:
        await asyncio.to_thread(_call, amqp, "DELETE", f"vhosts/{vhost}")
    except (urllib.error.URLError, OSError):
        return


async def remove_keys(url: str, prefix: str) -> None:
    """Remove every key that begins with a prefix."""
    client = redis.asyncio.from_url(url)
    try:
        async for key in client.scan_iter(match=f"{prefix}*", count=1000):
            await client.delete(key)
    finally:
        await client.aclose()
