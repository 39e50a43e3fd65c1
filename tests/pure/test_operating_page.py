"""docs/operating.md and the README against the programs: every setting with its default, every command line as it is typed."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from services.cli.main import app
from services.gateway.settings import Settings as Gateway
from services.kendra.settings import Settings as Kendra
from services.media_server.settings import Settings as MediaServer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operating.md").read_text()
PAGES = ("README.md", "docs/operating.md", "docs/record-and-replay.md")
SETTINGS: dict[str, type[BaseSettings]] = {"gateway": Gateway, "kendra": Kendra, "media server": MediaServer}
WORDS = {
    "none": None,
    "empty": "",
    "any": 0,
    "off": 0,
    "a day": 86_400,
    "the same": None,
    "7 days": 7 * 86_400,
    "30 days": 30 * 86_400,
}
IN_WORDS = {
    "LOG",
    "WEB_ROOT",
    "CLUSTER_SECRET",
    "SERVER",
    "CAPACITY",
    "WORKERS",
    "PLANE",
    "POSTGRES_URL",
    "AMQP_URL",
    "REDIS_URL",
}
"""What has no default that a table could hold as it is."""


def documented() -> dict[str, dict[str, str]]:
    """Return who → setting → default, as the table says."""
    found: dict[str, dict[str, str]] = {who: {} for who in SETTINGS}
    for row in re.findall(r"^\| ([a-z, ]+) \| (`[A-Z].*?) \| (.*?) \|", PAGE, re.MULTILINE):
        whose, names = row[0], re.findall(r"`([A-Z_]+)`", row[1])
        defaults = re.split(r", (?!at least)", row[2]) if len(names) > 1 else [row[2]]
        for who in SETTINGS if whose == "all" else whose.split(", "):
            found[who] |= dict(zip(names, defaults * (len(names) // len(defaults)), strict=True))
    return found


@pytest.mark.parametrize("who", SETTINGS)
def test_every_setting_is_documented_and_nothing_else(who: str) -> None:
    has = {name.upper() for name in SETTINGS[who].model_fields}
    said = set(documented()[who])
    assert has <= said, "not in docs/operating.md"
    assert said - has <= {"REDIS_URL"}, "no such setting"  # media servers need no Redis


def defaults(settings: type[BaseSettings]) -> dict[str, Any]:
    found = {
        name.upper(): field.get_default(call_default_factory=True) for name, field in settings.model_fields.items()
    }
    return {name: None if default in (PydanticUndefined, []) else default for name, default in found.items()}


@pytest.mark.parametrize("who", SETTINGS)
def test_every_default_is_the_documented_one(who: str) -> None:
    said = documented()[who]
    for name, default in defaults(SETTINGS[who]).items():
        if name in IN_WORDS:
            continue
        word = said[name]
        wanted = WORDS.get(word, word)
        same = float(wanted) == default if isinstance(default, float | int) else wanted == default
        assert same, f"{name} is {default!r}, not {word!r}"


def command_lines() -> list[str]:
    """Return what a reader can type: lines of shell blocks, and `doordarshan …` within the text."""
    found: list[str] = []
    for page in PAGES:
        text = (ROOT / page).read_text()
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            found += [line for line in block.splitlines() if line.startswith("doordarshan ")]
        found += re.findall(r"`(doordarshan [a-z][^`]*)`", text)
    return found


@pytest.mark.parametrize("line", command_lines())
def test_every_command_line_that_is_shown_is_understood(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    needs_more = {("users",): ["directory"], ("key",): ["list"], ("tenant",): ["list"], ("token",): ["KEY"]}
    app.parse_args(words + needs_more.get(tuple(words), []), exit_on_error=False, print_error=False)
