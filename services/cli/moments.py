"""Times as people say them on a command line, and as they are shown there."""

import re
from datetime import UTC, datetime, timedelta

from services.cli.stack.errors import CannotRun

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST = 86_400.0


def moment(said: str, now: datetime) -> datetime:
    """Return the time meant: so long ago (`90m`, `2h ago`, `7d`), or a time of ISO 8601, UTC unless it says otherwise. Raises CannotRun."""
    try:
        if ago := re.fullmatch(r"(\d{1,6}) ?([smhd])( ago)?", said.strip()):
            return now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
        at = datetime.fromisoformat(said)
    except (ValueError, OverflowError):
        raise CannotRun(f"{said!r} is no time: say how long ago (90m, 2h, 7d), or 2026-11-22T12:00") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def seconds_of(span: str) -> float:
    """Return the seconds of `60s`, `5m`, `1h` or `90`. Raises CannotRun."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?) ?([smh]?)", span.strip())
    seconds = float(found[1]) * _UNITS[found[2] or "s"] if found else _LONGEST + 1
    if seconds > _LONGEST:
        raise CannotRun(f"say a time up to a day, as 60s, 5m or 1h, not {span!r}")
    return seconds


def shown(at: datetime) -> str:
    """Return a time as it is shown: to the millisecond, UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} UTC"


def lasting(seconds: float) -> str:
    """Return how long something took, in the unit that suits it."""
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
