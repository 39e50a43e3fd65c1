"""Server-sent events: their lines parsed, and a stream that is resumed for ever."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from pydantic import JsonValue


@dataclass(frozen=True)
class ServerEvent:
    """One event of the stream; `sequence` is None for live ones and gaps without one."""

    type: str
    sequence: int | None
    body: dict[str, JsonValue]


async def parsed(lines: AsyncIterator[str]) -> AsyncIterator[ServerEvent]:
    """Turn the lines of a `text/event-stream` into events; comments are skipped."""
    fields: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            sequence = int(fields["id"]) if fields.get("id") else None
            yield ServerEvent(fields.get("event", "message"), sequence, json.loads(fields["data"]))
            fields = {}
