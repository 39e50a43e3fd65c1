"""What came out differently: a recorded reply against the one that came, in the same names and without what must differ. Pure.

Both are read by today's contract first, so a field that one of them leaves out has its default in both; a recorded reply that today's
contract cannot read is a difference of its own. What must differ (times, ports, keys, random numbers, event numbers, which server)
is compared by being there or not. The reason of a failure is for people and is not compared, its code is.
"""

import importlib
import json
import pkgutil
from collections.abc import Mapping as Table
from dataclasses import dataclass
from functools import cache

from pydantic import JsonValue, ValidationError

import contracts
from contracts.failure import Failure
from contracts.message import Reply
from services.bus.envelope import what_is_wrong
from services.cli.recording.mapping import Mapping
from services.cli.recording.plan import Expected

SOMETHING = "…"
_VOLATILE = frozenset(
    [
        "joinedAt",
        "at",
        "renewedAt",
        "drainedBy",
        "keepUntil",
        "lastEventId",
        "head",
        "stream",
        "closedBelow",
        "usernameFragment",
        "password",
        "mediaServerId",
        "bootId",
        "workerId",
        "ip",
        "address",
        "port",
        "priority",
        "foundation",
        "ssrc",
        "cname",
        "iceServers",
    ]
)
_KEYED = dict.fromkeys(("producers", "ownTransports", "ownProducers", "ownConsumers"), "id") | {
    "participants": "participantId"
}
"""Lists without an order of their own, by what tells their objects apart."""
_UNORDERED = frozenset({"closedProducerIds", "closedConsumerIds", "transports", "consumers"})
_APPLICATION = frozenset({"appData", "displayName", "participantId"})
"""What is the application's own, in which no name means anything to us."""

Object = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in a reply; None for what is not there."""

    path: str
    recorded: JsonValue
    replayed: JsonValue


def differences(expected: Expected, answered: Expected, names: Mapping) -> list[Difference]:
    """Return where a reply differs from the recorded one."""
    if expected.type != answered.type:
        return [Difference("reply", _named(expected), _named(answered))]
    try:
        was = _plain(expected.type, _canonical(expected), names)
    except ValidationError as misfit:
        return [Difference(f"{expected.type} as recorded", "fits the contract", what_is_wrong(misfit))]
    try:
        now = _plain(answered.type, _canonical(answered), Mapping())
    except ValidationError as misfit:
        return [Difference(f"{answered.type} as answered", "fits the contract", what_is_wrong(misfit))]
    return _compared("", was, now)


def _named(reply: Expected) -> str:
    return f"{reply.type} {reply.code}" if reply.code else reply.type


@cache
def _contracts() -> Table[str, type[Reply]]:
    for module in pkgutil.iter_modules(contracts.__path__):
        importlib.import_module(f"contracts.{module.name}")
    return {kind.__name__: kind for kind in Reply.__subclasses__() if kind.__module__.startswith("contracts.")}


def _canonical(reply: Expected) -> JsonValue:
    if reply.type not in _contracts():
        return reply.body
    read: JsonValue = _contracts()[reply.type].model_validate(reply.body).model_dump(mode="json", by_alias=True)
    return read


def _plain(type: str, body: JsonValue, names: Mapping) -> JsonValue:
    """Return what is compared of a reply."""
    if not isinstance(body, dict):
        return body
    match type:
        case Failure.__name__:
            return {"code": body.get("code"), "retryable": body.get("retryable")}
        case "StatsRead":
            return {"stats": [{"type": one.get("type")} for one in _objects(body.get("stats"))]}
        case "PlacementExplained":
            return {"decisions": [_decision(one, names) for one in _objects(body.get("decisions"))]}
        case _:
            return _value("", body, names)


def _decision(one: Object, names: Mapping) -> JsonValue:
    kept: Object = {"epoch": one.get("epoch"), "streams": one.get("streams"), "mediaServerId": one.get("chosen")}
    return _value("", kept, names)


def _value(name: str, value: JsonValue, names: Mapping) -> JsonValue:
    if name in _APPLICATION:
        return names.body(value)
    if name in _VOLATILE:
        return None if value is None else SOMETHING
    if name == "epoch" and isinstance(value, int):
        return names.epoch(value)  # type: ignore[arg-type]
    if name == "seat" and isinstance(value, int):
        return names.seat(value)  # type: ignore[arg-type]
    if isinstance(value, dict):
        return {key: _value(key, one, names) for key, one in value.items()}
    if isinstance(value, list):
        return _list(name, value, names)
    return names.id(value) if isinstance(value, str) else value


def _list(name: str, value: list[JsonValue], names: Mapping) -> JsonValue:
    found = [_value("", one, names) for one in value]
    if name in _KEYED:
        return {str(one.get(_KEYED[name])): one for one in _objects(found)}
    if name == "fingerprints":
        return [{"algorithm": one.get("algorithm")} for one in _objects(found)]
    if name == "iceCandidates":
        return [*sorted({str(one.get("type")) for one in _objects(found)})]  # where, over what: the deployment's
    return sorted(found, key=json.dumps) if name in _UNORDERED else found


def _objects(value: JsonValue) -> list[Object]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _compared(path: str, was: JsonValue, now: JsonValue) -> list[Difference]:
    if isinstance(was, dict) and isinstance(now, dict):
        names = [*was, *(name for name in now if name not in was)]
        return [one for name in names for one in _compared(_below(path, name), was.get(name), now.get(name))]
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        pairs = enumerate(zip(was, now, strict=True))
        return [one for number, pair in pairs for one in _compared(f"{path}[{number}]", *pair)]
    return [] if was == now else [Difference(path, was, now)]


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
