"""Fields of JSON that came from outside, read as mediasoup's JavaScript reads them: what is given, of which type, how it is shown.

Rules of this file: nothing is changed and nothing coerced; what is not as it has to be raises `InvalidRtpParameters` with the
words of who asked.
"""

from collections.abc import Callable
from typing import TypeGuard, TypeVar, cast

from pydantic import JsonValue

from sfu.errors import InvalidRtpParameters

JsonObject = dict[str, JsonValue]
T = TypeVar("T")

LARGEST_NUMBER = 2**53 - 1
SHOWN_AT_MOST = 256


def object_of(value: object, otherwise: str) -> JsonObject:
    """Return an object; a list is one without fields, as in JavaScript, so the first field it lacks is named."""
    if isinstance(value, list):
        return {}
    if not is_object(value):
        raise InvalidRtpParameters(otherwise)
    return value


def each_of(given: JsonObject, name: str, otherwise: str, normalise: Callable[[object], object]) -> list[JsonValue]:
    """Return the normalised elements of an optional list."""
    value = given.get(name)
    if not _given(value):
        return []
    if not isinstance(value, list):
        raise InvalidRtpParameters(otherwise)
    return cast(list[JsonValue], [normalise(one) for one in value])


def optional(given: JsonObject, name: str, of_type: Callable[[object], TypeGuard[T]], otherwise: str) -> T | None:
    """Return an optional field, None if it is not given, or refuse it for being of another type."""
    value = given.get(name)
    if not _given(value):
        return None
    if not of_type(value):
        raise InvalidRtpParameters(otherwise)
    return value


def _given(value: JsonValue) -> bool:
    """Say whether JavaScript calls a JSON value true; empty objects and lists are."""
    return isinstance(value, dict | list) or bool(value)


def fields_of(value: JsonValue) -> JsonObject:
    """Return the fields of what may be an object; those of a list are its elements, anything else has none."""
    if isinstance(value, list):
        return {str(index): element for index, element in enumerate(value)}
    return value if isinstance(value, dict) else {}


def is_object(value: object) -> TypeGuard[JsonObject]:
    return isinstance(value, dict)


def is_object_or_list(value: object) -> TypeGuard[JsonObject | list[JsonValue]]:
    return isinstance(value, dict | list)


def is_string(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def is_bool(value: object) -> TypeGuard[bool]:
    return isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Say whether a JSON value is a number that every peer holds exactly; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST_NUMBER <= value <= LARGEST_NUMBER


def shown(value: JsonValue) -> str:
    """Return a value as JavaScript writes it into a text, but never more of it than a reader wants."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "[object Object]"
    if isinstance(value, list):
        return ",".join("" if one is None else "[list]" if isinstance(one, list) else shown(one) for one in value[:16])
    if isinstance(value, str):
        return value[:SHOWN_AT_MOST]
    if not is_number(value):
        return "Infinity" if value > 0 else "-Infinity" if value < 0 else "NaN"
    return str(int(value)) if value == int(value) else str(value)
