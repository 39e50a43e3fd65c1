"""A request's body, read once and strictly: at most 256 KiB of UTF-8 JSON that every room behind can store.

Refused are NaN and infinities, NUL characters and lone surrogates (Postgres stores neither), and nesting deeper than 32.
"""

import hashlib
import json
from collections.abc import Sequence

from pydantic import JsonValue
from starlette.requests import Request

from contracts.failure import InvalidRequest, PayloadTooLarge
from services.bus import NO_BODY

LARGEST = 256 * 1024
DEEPEST = 32


async def read(request: Request) -> bytes:
    """Return the body. Raises PayloadTooLarge as soon as that is known."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > LARGEST:
        raise PayloadTooLarge
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST:
            raise PayloadTooLarge
        chunks.append(chunk)
    return b"".join(chunks)


def parsed(body: bytes) -> JsonValue:
    """Return the JSON value. Raises InvalidRequest."""
    try:
        value: JsonValue = json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not JSON in UTF-8.") from None
    if _depth(value) > DEEPEST:
        raise InvalidRequest(f"The body is nested deeper than {DEEPEST}.")
    return value


def fingerprint(value: JsonValue) -> str:
    """Return the SHA-256 of a JSON value in hex, the same however it was written. Raises InvalidRequest for what cannot be stored."""
    try:
        canonical = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
        encoded = canonical.encode("utf-8")
    except ValueError:
        raise InvalidRequest("The body has a number or a character that cannot be stored.") from None
    return hashlib.sha256(encoded).hexdigest()


def hashed(body: bytes) -> tuple[JsonValue, str]:
    """Return a body's JSON value and its fingerprint; nothing for an empty body."""
    if not body:
        return None, NO_BODY
    value = parsed(body)
    if rb"\u0000" in body and _has_nul([value]):
        raise InvalidRequest("The body has a NUL character.")
    return value, fingerprint(value)


def _refuse(constant: str) -> JsonValue:
    raise ValueError(constant)


def _depth(value: JsonValue) -> int:
    """Return how deep the value is nested, level by level."""
    depth, level = 0, [value]
    while level := [child for parent in level for child in _children(parent)]:
        depth += 1
        if depth > DEEPEST:
            break
    return depth


def _children(value: JsonValue) -> Sequence[JsonValue]:
    if isinstance(value, dict):
        return tuple(value.values())
    return value if isinstance(value, list) else ()


def _has_nul(values: Sequence[JsonValue]) -> bool:
    for value in values:
        if isinstance(value, str) and "\0" in value:
            return True
        if isinstance(value, dict) and any("\0" in name for name in value):
            return True
        if _has_nul(_children(value)):
            return True
    return False
