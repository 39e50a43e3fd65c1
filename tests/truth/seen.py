"""One look at a running system: one snapshot of Postgres, what each media server says it has in memory, the streams in Redis."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import asyncpg

from services.testing.system import System
from tests.truth.asking import Tool

Row = Mapping[str, Any]
NOUNS = ("transports", "producers", "consumers")


class Key(NamedTuple):
    """A meeting of a tenant."""

    tenant: str
    meeting: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.meeting}"


class Thing(NamedTuple):
    """Something live, and where: a router, transport, producer or consumer."""

    id: str
    meeting: Key
    epoch: int
    server: str
    boot: str

    def __str__(self) -> str:
        return f"{self.id} of {self.meeting} at epoch {self.epoch} on {self.server} (boot {self.boot})"


Things = dict[str, set[Thing]]


class Entry(NamedTuple):
    """An event as the log and the stream carry it."""

    sequence: int
    type: str
    epoch: int
    to: str
    body: str


@dataclass
class Seen:
    """What was seen. `rows` and `memory` by noun (`routers` besides NOUNS), the rest by meeting."""

    rows: Things
    memory: Things
    leased: set[tuple[str, str]] = field(default_factory=set)
    """Servers and boots that hold a lease."""
    silent: dict[tuple[str, str], str] = field(default_factory=dict)
    """Those of them that did not say what they have, and why."""
    meetings: dict[Key, Row] = field(default_factory=dict)
    heads: dict[Key, Row] = field(default_factory=dict)
    bookings: dict[str, Row] = field(default_factory=dict)
    seats: dict[Key, dict[str, int]] = field(default_factory=dict)
    hanging: list[str] = field(default_factory=list)
    """Transports of seats that are over."""
    logs: dict[Key, list[Entry]] = field(default_factory=dict)
    streams: dict[Key, list[Entry] | None] = field(default_factory=dict)
    """None: Redis has no such stream."""


async def look(system: System, tool: Tool, meetings: Collection[str] | None = None) -> Seen:
    """Look once. `meetings` (default: all) are those of which logs and streams are read. Raises what the services' clients raise."""
    seen = Seen({noun: set() for noun in ("routers", *NOUNS)}, {noun: set() for noun in ("routers", *NOUNS)})
    async with system.postgres.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        await _rows(connection, lease_of(system), seen)
        await _logs(connection, meetings, seen)
    await asyncio.gather(*(_memory(tool, *boot, seen) for boot in seen.leased))
    await _streams(system, seen)
    return seen


def lease_of(system: System) -> float:
    """Return for how long a renewal is good in this system, seconds."""
    return min((float(kendra.settings.get("DOORDARSHAN_LEASE", "5")) for kendra in system.plan.kendras), default=5.0)


_HANGING = """
    select t.id, t.tenant, t.meeting, t.participant, t.seat from transports t
    join meetings m on m.tenant = t.tenant and m.meeting = t.meeting and m.epoch = t.epoch
    where not exists (
        select from participants p where p.tenant = t.tenant and p.meeting = t.meeting
        and p.participant = t.participant and p.seat = t.seat and p.left_at is null
    )
"""


async def _rows(connection: asyncpg.Connection, lease: float, seen: Seen) -> None:
    leased = "select server, boot from media_servers where renewed_at + make_interval(secs => $1) > clock_timestamp()"
    seen.leased = {(row["server"], row["boot"]) for row in await connection.fetch(leased, lease)}
    for row in await connection.fetch("select router as id, tenant, meeting, epoch, server, boot from allocations"):
        seen.rows["routers"].add(_thing(row))
    for noun in NOUNS:
        found = await connection.fetch(f"select id, tenant, meeting, epoch, server, boot from {noun}")  # noqa: S608
        seen.rows[noun] = {_thing(row) for row in found}
    seen.meetings = {_key(row): row for row in await connection.fetch("select * from meetings")}
    seen.heads = {_key(row): row for row in await connection.fetch("select * from event_heads")}
    seen.bookings = {row["server"]: row for row in await connection.fetch("select * from bookings")}
    for row in await connection.fetch("select * from participants where left_at is null"):
        seen.seats.setdefault(_key(row), {})[row["participant"]] = row["seat"]
    for row in await connection.fetch(_HANGING):
        seen.hanging.append(
            f"transport {row['id']} of {_key(row)} hangs from {row['participant']}'s seat {row['seat']}, which is over"
        )


async def _logs(connection: asyncpg.Connection, meetings: Collection[str] | None, seen: Seen) -> None:
    statement = """
        select tenant, meeting, sequence, type, epoch, coalesce("to", '') as "to", body
        from events where $1::text[] is null or meeting = any($1) order by tenant, meeting, sequence
    """
    for key in seen.heads:
        if meetings is None or key.meeting in meetings:
            seen.logs[key] = []
    for row in await connection.fetch(statement, None if meetings is None else list(meetings)):
        entry = Entry(row["sequence"], row["type"], row["epoch"], row["to"], row["body"])
        seen.logs.setdefault(_key(row), []).append(entry)


async def _memory(tool: Tool, server: str, boot: str, seen: Seen) -> None:
    try:
        answer = await tool.ask(f"media.{server}.{boot}.commands", "ListLive", {}, within=2.0)
    except TimeoutError:
        seen.silent[server, boot] = "no answer"
        return
    if answer.type != "LiveListed":
        seen.silent[server, boot] = f"{answer.type} {answer.body}"
        return
    for router in answer.body["routers"]:
        where = (Key(router["tenant"], router["meetingId"]), router["epoch"], server, boot)
        seen.memory["routers"].add(Thing(router["routerId"], *where))
        for noun in NOUNS:
            seen.memory[noun] |= {Thing(id, *where) for id in router[noun]}


async def _streams(system: System, seen: Seen) -> None:
    keys = [key for key in seen.logs if key in seen.meetings]
    pipeline = system.redis.pipeline(transaction=False)
    for key in keys:
        stream = f"{system.redis_prefix}events:{{{key.tenant}:{key.meeting}:{seen.meetings[key]['incarnation']}}}"
        pipeline.exists(stream)
        pipeline.xrange(stream)
    answers: Sequence[Any] = await pipeline.execute()
    for key, exists, entries in zip(keys, answers[::2], answers[1::2], strict=True):
        seen.streams[key] = [_entry(id, fields) for id, fields in entries] if exists else None


def _entry(id: str, fields: Mapping[str, str]) -> Entry:
    sequence = int(id.partition("-")[0])
    return Entry(sequence, fields["type"], int(fields["epoch"]), fields["to"], fields["body"])


def _key(row: Row) -> Key:
    return Key(row["tenant"], row["meeting"])


def _thing(row: Row) -> Thing:
    return Thing(row["id"], _key(row), row["epoch"], row["server"], row["boot"])
