"""Whether a contract can replace an earlier one of the same version. Pure: JSON schemas in, sentences out.

Both are read in two directions. What services *take* (commands, notices, the envelope) may come from somebody who knows the earlier
shape only: it may widen. What they *give* (replies, events, failures, watch records) may go to such a reader: it may grow by fields
and by values of an enumeration, which readers must bear, but no field becomes something that it was not.
In both no field is removed, no default changes, and a new field has a default: messages of this version are under way between services
that are not all replaced at once, they stand in event logs and in recordings.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

from pydantic import JsonValue

Schema = Mapping[str, JsonValue]

_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_FORMS = ("pattern", "format")
_ANY = "anything"


class Direction(StrEnum):
    """Seen from the services."""

    TAKES = "takes"
    GIVES = "gives"


@dataclass(frozen=True, slots=True)
class Shapes:
    """Schemas by name. A reference's last part is such a name."""

    by_name: Mapping[str, JsonValue]

    def resolved(self, schema: JsonValue) -> Schema:
        """Return what a schema says, where it refers to another what that says."""
        assert is_object(schema)
        ref = schema.get("$ref")
        return self.resolved(self.by_name[ref.rpartition("/")[2]]) if isinstance(ref, str) else schema

    def alternatives(self, schema: JsonValue) -> dict[str, Schema]:
        """Return what a value may be, by JSON type; `anything` for a schema that says nothing."""
        found: dict[str, Schema] = {}
        said = self.resolved(schema)
        options = said.get("anyOf") or said.get("oneOf")
        if isinstance(options, list):
            for option in options:
                found |= self.alternatives(option)
            return found
        kind = said.get("type") or _of_values(said)
        return {str(kind): said}


def is_object(value: JsonValue) -> TypeGuard[dict[str, JsonValue]]:
    """Say whether a JSON value is an object."""
    return isinstance(value, dict)


def broken(old: Shapes, new: Shapes, roots: Iterable[tuple[str, Direction]]) -> list[str]:
    """Return what those who know the old shapes cannot bear in the new ones, each a sentence that begins with the place.

    `roots` are names that both have.
    """
    comparison = _Comparison(old, new)
    found: list[str] = []
    for name, direction in roots:
        found += comparison.named(name, direction)
    return list(dict.fromkeys(found))


class _Comparison:
    """Walks two sets of shapes side by side; each pair of schemas once a direction."""

    def __init__(self, old: Shapes, new: Shapes) -> None:
        self._old = old
        self._new = new
        self._seen: set[tuple[int, int, Direction]] = set()

    def named(self, name: str, direction: Direction) -> Iterator[str]:
        """Compare what a name stands for."""
        yield from self._value(name, {"$ref": name}, {"$ref": name}, direction)

    def _value(self, place: str, old: JsonValue, new: JsonValue, direction: Direction) -> Iterator[str]:
        before, after = self._old.alternatives(old), self._new.alternatives(new)
        if direction is Direction.TAKES:
            yield from (f"{place}: may not be {kind} any more" for kind in before if not _fits(kind, after))
        else:
            yield from (f"{place}: may now be {kind}" for kind in after if not _fits(kind, before))
        for kind in before.keys() & after.keys():
            yield from self._same_type(place, before[kind], after[kind], direction)

    def _same_type(self, place: str, old: Schema, new: Schema, direction: Direction) -> Iterator[str]:
        pair = (id(old), id(new), direction)
        if pair in self._seen:
            return
        self._seen.add(pair)
        yield from _enumeration(place, old, new, direction)
        yield from _limits(place, old, new, direction)
        if "items" in old or "items" in new:
            yield from self._value(f"{place}[]", old.get("items", {}), new.get("items", {}), direction)
        yield from self._fields(place, old, new, direction)
        yield from self._other_fields(place, old, new, direction)

    def _fields(self, place: str, old: Schema, new: Schema, direction: Direction) -> Iterator[str]:
        before, after = _object(old, "properties"), _object(new, "properties")
        must_before, must_after = _texts(old, "required"), _texts(new, "required")
        for name in before:
            where = f"{place}.{name}"
            if name not in after:
                yield f"{where}: is gone"
                continue
            if name in must_after - must_before and direction is Direction.TAKES:
                yield f"{where}: must be given now"
            if name in must_before - must_after and direction is Direction.GIVES:
                yield f"{where}: may be left out now"
            yield from _default(where, before[name], after[name], must_before | must_after, name)
            yield from self._value(where, before[name], after[name], direction)
        yield from (f"{place}.{name}: is new and has no default" for name in must_after - before.keys())

    def _other_fields(self, place: str, old: Schema, new: Schema, direction: Direction) -> Iterator[str]:
        """Compare what the fields of no fixed name hold: a mapping's values, or what a browser sends besides."""
        before, after = old.get("additionalProperties"), new.get("additionalProperties")
        if is_object(before) and is_object(after):
            yield from self._value(f"{place}.*", before, after, direction)
        elif after is False and before is not False:
            yield f"{place}.*: other fields are refused now"
        elif is_object(before):
            yield f"{place}.*: other fields are not kept any more"
        yield from self._patterns(
            place, _object(old, "patternProperties"), _object(new, "patternProperties"), direction
        )

    def _patterns(self, place: str, old: Schema, new: Schema, direction: Direction) -> Iterator[str]:
        if old.keys() != new.keys():
            yield f"{place}.*: the pattern of its names is another"
        for pattern in old.keys() & new.keys():
            yield from self._value(f"{place}.*", old[pattern], new[pattern], direction)


def _fits(kind: str, among: Mapping[str, Schema]) -> bool:
    return kind in among or _ANY in among or (kind == "integer" and "number" in among)


def _enumeration(place: str, old: Schema, new: Schema, direction: Direction) -> Iterator[str]:
    before, after = _values(old), _values(new)
    if before is not None and after is not None:
        yield from (f"{place}: {value!r} is gone from its values" for value in before if value not in after)
    elif direction is Direction.TAKES and before is None and after is not None:
        yield f"{place}: takes only {', '.join(map(repr, after))} now"
    elif direction is Direction.GIVES and before is not None and after is None:
        yield f"{place}: was one of {', '.join(map(repr, before))}"


def _limits(place: str, old: Schema, new: Schema, direction: Direction) -> Iterator[str]:
    """Compare forms both ways; bounds only of what is taken, for a reader need not check them."""
    for key in _FORMS:
        before, after = old.get(key), new.get(key)
        loosened = after is None and direction is Direction.TAKES
        tightened = before is None and direction is Direction.GIVES
        if before != after and not loosened and not tightened:
            yield f"{place}: its {key} is another: {before!r} before, {after!r} now"
    if direction is Direction.GIVES:
        return
    for keys, tighter in ((_LOWER_BOUNDS, 1), (_UPPER_BOUNDS, -1)):
        for key in keys:
            was, is_now = old.get(key), new.get(key)
            if isinstance(is_now, int | float) and (
                not isinstance(was, int | float) or tighter * is_now > tighter * was
            ):
                yield f"{place}: its {key} is {is_now} now, it was {was if was is not None else 'not bounded'}"


def _default(place: str, old: JsonValue, new: JsonValue, required: set[str], name: str) -> Iterator[str]:
    """Compare what stands for a field that is left out."""
    assert is_object(old)
    assert is_object(new)
    if name not in required and old.get("default") != new.get("default"):
        yield f"{place}: its default is {new.get('default')!r} now, it was {old.get('default')!r}"


def _of_values(schema: Schema) -> str:
    values = _values(schema)
    if not values:
        return _ANY
    return "string" if all(isinstance(value, str) for value in values) else "number"


def _values(schema: Schema) -> list[JsonValue] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def _object(schema: Schema, key: str) -> dict[str, JsonValue]:
    value = schema.get(key, {})
    return value if is_object(value) else {}


def _texts(schema: Schema, key: str) -> set[str]:
    value = schema.get(key, [])
    return {str(one) for one in value} if isinstance(value, list) else set()
