"""Reading compose.yaml as Docker Compose does: variables filled in, anchors merged, nothing run."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, cast

import yaml

from services.cli.stack.rundir import PROJECT

COMPOSE = PROJECT / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<kind>:[?-])(?P<rest>[^}]*))?\}")


class Service(TypedDict, total=False):
    """What the tests read of a service."""

    image: str
    command: list[str]
    environment: dict[str, str]
    ports: list[str]
    volumes: list[str]
    healthcheck: dict[str, object]
    depends_on: dict[str, dict[str, str]]


class Compose(TypedDict):
    """The parts of the file that the tests read."""

    services: dict[str, Service]
    configs: dict[str, dict[str, str]]


class VariableMissing(Exception):
    """A variable with `:?` is not set."""


def filled(text: str, variables: Mapping[str, str]) -> str:
    """Fill in `${NAME}`, `${NAME:-default}` and `${NAME:?message}`. Raises VariableMissing."""

    def value(match: re.Match[str]) -> str:
        given = variables.get(match["name"], "")
        if not given and match["kind"] == ":?":
            raise VariableMissing(match["name"])
        return given or (match["rest"] if match["kind"] == ":-" else "")

    return _VARIABLE.sub(value, text)


def read_compose(variables: Mapping[str, str], path: Path = COMPOSE) -> Compose:
    """Return the file with its variables filled in. Comment lines are none of Compose's business."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    return cast(Compose, yaml.safe_load(filled("\n".join(lines), variables)))
