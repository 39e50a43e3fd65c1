"""What callers saw: every attempt of every call, and what must be true of them. Pure but for the clock of whoever records."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import jwt

from contracts.failure import ERRORS, Internal, UnknownCommand
from services.cli.participant.api import JsonObject

CODES = set(ERRORS) - {Internal.code, UnknownCommand.code}
"""What a call may be answered with, however broken things are."""
ANSWERED_WITHIN = 5.0
MEASURED_LATE = 0.5
"""What the machine that measures may add of its own, seconds: the caller's loop is as busy as the cluster's."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request and its answer. `status` 0: the connection failed; `at` is monotonic, in seconds."""

    caller: str
    method: str
    path: str
    key: str | None
    at: float
    seconds: float
    status: int
    code: str | None = None
    reply: JsonObject = field(default_factory=dict)

    @property
    def acknowledged(self) -> bool:
        """Whether it was answered with a success."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Logged:
    """One event of a meeting's log, as Postgres has it."""

    meeting: str
    sequence: int
    epoch: int
    type: str
    body: JsonObject
    to: str | None = None

    @classmethod
    def read(cls, row: Mapping[str, str | int | None]) -> "Logged":
        """Return what a row of `events` says, its body as text."""
        body = cast(JsonObject, json.loads(str(row["body"])))
        sequence, epoch = cast(int, row["sequence"]), cast(int, row["epoch"])
        return cls(str(row["meeting"]), sequence, epoch, str(row["type"]), body, cast(str | None, row["to"]))


def answers(attempts: Iterable[Attempt], no_gateway: Sequence[tuple[float, float]]) -> list[str]:
    """Return what is wrong with the answers (I3): late ones, untyped ones, connections that failed while a gateway was there.

    `no_gateway` are the spans in which a gateway was being killed, frozen or restarted.
    """
    wrong = []
    for one in attempts:
        what = f"{one.caller} {one.method} {one.path}"
        excused = any(one.at <= until and one.at + one.seconds >= since for since, until in no_gateway)
        if one.seconds > ANSWERED_WITHIN + MEASURED_LATE and not excused:
            wrong.append(f"I3: {what} was answered after {one.seconds:.1f} s ({one.status} {one.code})")
        if one.status == 0 and not excused:
            wrong.append(f"I3: {what} was not answered although no gateway was away: {one.code}")
        elif one.status >= 400 and one.code not in CODES:
            wrong.append(f"I3: {what} was answered {one.status} {one.code}, which is no code of the API")
    return wrong


def one_reply_a_key(attempts: Iterable[Attempt]) -> list[str]:
    """Return the keys that were acknowledged with different replies (I2)."""
    first: dict[tuple[str, str], JsonObject] = {}
    wrong = []
    for one in attempts:
        if one.key is None or not one.acknowledged:
            continue
        mine = first.setdefault((one.path, one.key), one.reply)
        if mine.get("id") != one.reply.get("id"):
            wrong.append(f"I2: {one.caller} {one.path} with one key got {mine.get('id')} and {one.reply.get('id')}")
    return wrong


def effects(attempts: Sequence[Attempt], log: Sequence[Logged]) -> list[str]:
    """Return acknowledged effects that the log does not have (I1), and those it has twice (I2)."""
    made: dict[str, int] = {}
    seats: set[tuple[str, int]] = set()
    for event in log:
        if event.type == "ProducerCreated":
            made[str(event.body["producerId"])] = made.get(str(event.body["producerId"]), 0) + 1
        elif event.type in {"ParticipantJoined", "ParticipantReplaced"}:
            seats.add((f"{event.meeting}/{event.body['participantId']}", event.sequence))
    wrong = [f"I2: producer {id} was announced {times} times" for id, times in made.items() if times > 1]
    wrong += _one_producer_a_key(log)
    wrong += _left(attempts, log)
    for one in attempts:
        if not one.acknowledged or one.method != "POST":
            continue
        if one.path.endswith("/producers") and str(one.reply["id"]) not in made:
            wrong.append(f"I1: producer {one.reply['id']} of {one.caller} was acknowledged and is not in the log")
        if one.path.endswith("/join") and (one.caller, seat := seat_of(one.reply)) not in seats:
            wrong.append(f"I1: seat {seat} of {one.caller} was acknowledged and is not in the log")
    return wrong


def seat_of(joined: JsonObject) -> int:
    """Return the seat that a join's token proves."""
    return int(jwt.decode(str(joined["participantToken"]), options={"verify_signature": False})["seat"])


def _left(attempts: Sequence[Attempt], log: Sequence[Logged]) -> list[str]:
    """Return whose acknowledged leaves are more than the log has of them (I1): each has a key of its own, and ends a seat of its own."""
    told = Counter(f"{one.meeting}/{one.body['participantId']}" for one in log if one.type == "ParticipantLeft")
    asked = {(one.caller, one.key) for one in attempts if one.acknowledged and one.path.endswith("/leave")}
    left = Counter(caller for caller, _ in asked)
    return [f"I1: {who} left {n} times, the log has {told[who]}" for who, n in left.items() if n > told[who]]


def _one_producer_a_key(log: Sequence[Logged]) -> list[str]:
    """People write the key of each create producer into its appData: one effect a key."""
    by_key: dict[str, set[str]] = {}
    for event in log:
        if event.type == "ProducerCreated":
            data = event.body.get("appData")
            key = data.get("key") if isinstance(data, Mapping) else None
            if key is not None:
                by_key.setdefault(str(key), set()).add(str(event.body["producerId"]))
    return [f"I2: key {key} made {len(ids)} producers" for key, ids in by_key.items() if len(ids) > 1]


def sequences(log: Sequence[Logged]) -> list[str]:
    """Return the meetings whose log has a hole, a repeat, or an event of an older epoch after a newer one (I7)."""
    wrong = []
    last: dict[str, Logged] = {}
    for event in sorted(log, key=lambda one: (one.meeting, one.sequence)):
        before = last.get(event.meeting)
        if event.sequence != (before.sequence + 1 if before else 1):
            wrong.append(f"I7: {event.meeting}: {event.sequence} follows {before.sequence if before else 'nothing'}")
        if before is not None and event.epoch < before.epoch:
            wrong.append(f"I5: {event.meeting}: {event.type} of epoch {event.epoch} after epoch {before.epoch}")
        last[event.meeting] = event
    return wrong


def read(reader: str, events: Sequence[tuple[str, int | None]], log: Sequence[Logged]) -> list[str]:
    """Return what a reader of one meeting missed, or got twice (I7): `events` are type and sequence as they came, gaps included."""
    meeting = reader.partition("/")[0]
    told = {one.sequence for one in log if one.meeting == meeting and one.to is None}
    wrong: list[str] = []
    seen: int | None = None
    for type, sequence in events:
        if sequence is None:
            continue
        if seen is not None and sequence <= seen and type != "gap":
            wrong.append(f"I7: {reader} got {type} {sequence} after {seen}")
        if seen is not None and type != "gap" and (missed := told & set(range(seen + 1, sequence))):
            wrong.append(f"I7: {reader} was not told of {sorted(missed)} before {sequence}")
        seen = max(sequence, seen or 0)
    return wrong
