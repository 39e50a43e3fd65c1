"""Reads the golden vectors of `tests/vectors/ortc` and compares with them; see the README there."""

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from sfu.errors import InvalidRtpParameters, InvalidState, SfuError, UnsupportedCodec

VECTORS = Path(__file__).parents[1] / "vectors" / "ortc"
ERRORS = {"TypeError": InvalidRtpParameters, "UnsupportedError": UnsupportedCodec, "Error": InvalidState}
JAVASCRIPT_GAVE_UP = "Cannot read properties of"


def vectors(name: str) -> dict[str, Any]:
    """Return one table."""
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def numbered() -> Callable[[], int]:
    """Return the source of the "random" numbers that the vectors were made with."""
    numbers = count(100_000_000, 1000)
    return lambda: next(numbers)


def defined(value: Any) -> Any:
    """Return JSON without what is null: undefined, in the vectors."""
    if isinstance(value, dict):
        return {name: defined(field) for name, field in value.items() if field is not None}
    return [defined(element) for element in value] if isinstance(value, list) else value


def outcome(negotiate: Callable[[], object]) -> object:
    """Return what comes out: JSON, or the class and text of our error."""
    try:
        return defined(negotiate())
    except SfuError as error:
        return type(error), str(error)


def as_expected(got: object, row: dict[str, Any], result: str) -> bool:
    """Say whether an outcome is the row's; where JavaScript itself gave up, any typed error of ours is right."""
    error = row.get("error")
    if error is None:
        return got == defined(row[result])
    if error["message"].startswith(JAVASCRIPT_GAVE_UP):
        return isinstance(got, tuple) and got[0] is InvalidRtpParameters
    return got == (ERRORS[error["class"]], error["message"])
