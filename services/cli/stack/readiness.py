"""Asking a process whether it is ready: one GET, without an HTTP client's import time."""

import asyncio
import contextlib
from urllib.parse import urlsplit

_ANSWER_SECONDS = 2.0
_BETWEEN_SECONDS = 0.05


async def status_of(url: str) -> tuple[int, str]:
    """Return the HTTP status (0: nobody answered) and the body of a plain-HTTP URL."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
            with contextlib.closing(writer):
                path = parts.path or "/"
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
                answer = await reader.read()
    except (OSError, TimeoutError):
        return 0, ""
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    return (int(words[1]), body.decode(errors="replace")) if len(words) > 1 and words[1].isdigit() else (0, "")


async def until_ready(url: str) -> None:
    """Wait until the URL answers 200; the caller sets the deadline."""
    while (await status_of(url))[0] != 200:  # noqa: ASYNC110
        await asyncio.sleep(_BETWEEN_SECONDS)  # the other process cannot tell us
