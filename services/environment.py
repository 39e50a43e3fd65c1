"""A service's settings out of its environment, or one clear line for each that will not do, and the end of the process."""

import os
import sys
import time
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

SettingsT = TypeVar("SettingsT", bound=BaseSettings)

PREFIX = "DOORDARSHAN_"
GATE = "DOORDARSHAN_GATE"


def settings_of(service: str, settings: type[SettingsT]) -> SettingsT:
    """Read the settings. Raises SystemExit with a line per wrong one; a value is never shown, it may be a secret.

    With DOORDARSHAN_GATE it returns when the file of that name is there: what was imported waits, ready to take over at once.
    """
    try:
        found = settings()
        _pass_the_gate()
        return found
    except ValidationError as wrong:
        lines = [f"{service}: {_named(error['loc'])}: {error['msg']}" for error in wrong.errors(include_input=False)]
        sys.exit("\n".join(lines))


def _pass_the_gate() -> None:
    """Wait; nothing runs in this process yet."""
    gate = os.environ.get(GATE)
    while gate and not Path(gate).exists():
        time.sleep(0.005)


def _named(where: tuple[int | str, ...]) -> str:
    return f"{PREFIX}{'_'.join(map(str, where)).upper()}" if where else "settings"
