"""A service's settings out of its environment, or one clear line for each that will not do, and the end of the process."""

import sys
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

SettingsT = TypeVar("SettingsT", bound=BaseSettings)

PREFIX = "DOORDARSHAN_"


def settings_of(service: str, settings: type[SettingsT]) -> SettingsT:
    """Read the settings. Raises SystemExit with a line per wrong one; a value is never shown, it may be a secret."""
    try:
        return settings()
    except ValidationError as wrong:
        lines = [f"{service}: {_named(error['loc'])}: {error['msg']}" for error in wrong.errors(include_input=False)]
        sys.exit("\n".join(lines))


def _named(where: tuple[int | str, ...]) -> str:
    return f"{PREFIX}{'_'.join(map(str, where)).upper()}" if where else "settings"
