"""The placement policy: what `placement` goes by, as a value. Pure; its default is how meetings are placed when nobody says otherwise.

An operator writes one as TOML, each line of it optional:

    prefer = "pack"            # fill servers one after the other; "spread" (the default) evens them out
    capacity_factor = 0.9      # the share of each server's stated capacity that is used at all
    headroom = 0.2             # the share of that which is kept for meetings that must move
    limit = 0.85               # a server that is used more than this gets no new meeting

    [weights]                  # how much each measure counts; 0: not at all
    booked = 1.0
    cpu = 1.0
    egress = 0.0

    [servers.ms-1]             # the same for one server by its name, and:
    avoid = true               # place nothing there

A policy never gives out more than a server's stated capacity, for the database does not either.
"""

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contracts.ids import MediaServerId

Weight = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Factor = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Headroom = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Limit = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class BadPolicy(Exception):
    """The policy's file cannot be used; the message says where it is wrong and why."""


class Prefer(StrEnum):
    """Who is better among those that can take a meeting."""

    SPREAD = "spread"
    PACK = "pack"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Weights(_Part):
    """How much each measure of a server's use counts."""

    booked: Weight = 1.0
    cpu: Weight = 1.0
    egress: Weight = 1.0

    @model_validator(mode="after")
    def _something_counts(self) -> Self:
        if not (self.booked or self.cpu or self.egress):
            raise ValueError("one of booked, cpu and egress must count")
        return self


class Override(_Part):
    """What is different for one server; None: as for all."""

    capacity_factor: Factor | None = None
    headroom: Headroom | None = None
    limit: Limit | None = None
    avoid: bool = False


class Policy(_Part):
    """How servers are judged."""

    prefer: Prefer = Prefer.SPREAD
    capacity_factor: Factor = 1.0
    headroom: Headroom = 0.0
    limit: Limit | None = None
    weights: Weights = Weights()
    servers: Mapping[MediaServerId, Override] = Field(default_factory=dict)

    def of(self, server: MediaServerId) -> Override:
        """Return what holds for one server, with nothing left open but a limit that there is not."""
        return self._by_server.get(server, self._others)

    @cached_property
    def _others(self) -> Override:
        return Override(capacity_factor=self.capacity_factor, headroom=self.headroom, limit=self.limit)

    @cached_property
    def _by_server(self) -> Mapping[MediaServerId, Override]:
        return {
            server: self._others.model_copy(update=own.model_dump(exclude_none=True))
            for server, own in self.servers.items()
        }


DEFAULT = Policy()


def parse(text: str, name: str = "the policy") -> Policy:
    """Return the policy that a TOML text describes. Raises BadPolicy."""
    try:
        return Policy.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as wrong:
        raise BadPolicy(f"{name} is no TOML: {wrong}") from None
    except ValidationError as wrong:
        raise BadPolicy(f"{name}: {'; '.join(_said(one['loc'], one['msg']) for one in wrong.errors())}") from None


def load(path: Path) -> Policy:
    """Return the policy in a file. Raises BadPolicy."""
    try:
        return parse(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise BadPolicy(f"{path} cannot be read: {error}") from None


def _said(where: tuple[int | str, ...], why: str) -> str:
    known = "no such setting" if why == "Extra inputs are not permitted" else why
    return f"{'.'.join(map(str, where)) or 'it'}: {known}"
