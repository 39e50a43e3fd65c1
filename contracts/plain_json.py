"""JSON of a shape we do not know: kept as it was sent, as long as everyone who stores or reads it can hold it.

Python's JSON parser lets through what others refuse: `NaN`, infinities, halves of surrogate pairs, and the zero character
that Postgres has no room for. A value is also bounded, because it is stored with a meeting and sent to all in it.
"""

import math
from collections.abc import Callable, Mapping

from pydantic import JsonValue

NO_ZERO = r"^[^\x00]*$"
"""The pattern of a text that Postgres can store; halves of surrogate pairs are refused by pydantic itself."""


def at_most(values: int, characters: int) -> Callable[[Mapping[str, JsonValue]], Mapping[str, JsonValue]]:
    """Return a check of an object: at most so many values, nested ones too, and characters, names included.

    The check returns the object itself, or raises ValueError.
    """

    def checked(object_: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        waiting: list[JsonValue] = [dict(object_)]
        seen = weight = 0
        while waiting:
            value = waiting.pop()
            seen += 1
            weight += _weight(value)
            if isinstance(value, dict):
                waiting.extend(value.values())
            elif isinstance(value, list):
                waiting.extend(value)
            if seen + len(waiting) > values + 1 or weight > characters:
                raise ValueError(f"must have at most {values} values and {characters} characters")
        return object_

    return checked


def _weight(value: JsonValue) -> int:
    """Return how many characters a value adds by itself; raise ValueError if some reader could not hold it."""
    if isinstance(value, str):
        return len(_text(value))
    if isinstance(value, dict):
        return sum(len(_text(name)) for name in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must have finite numbers only")
    return value.bit_length() // 3 if isinstance(value, int) else 0


def _text(text: str) -> str:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must have no zero character and no half of a surrogate pair")
    return text
