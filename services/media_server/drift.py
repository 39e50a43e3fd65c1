"""How memory, rows and wishes may differ, each difference with a name. Pure: two looks in, findings out.

Memory has two halves, what this server keeps in its own lists and what the media library has; the rows are this boot's; the wish
is the meeting's. A look at a meeting is taken in its line, so that no command is half done.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from enum import StrEnum

from contracts.ids import RouterId


class Drift(StrEnum):
    """What may be found, and by which look."""

    ROUTER_WITHOUT_ROW = "router_without_row"
    ROW_WITHOUT_ROUTER = "row_without_router"
    ROUTER_NOT_WANTED = "router_not_wanted"
    """Its meeting is at another epoch, elsewhere, or over, and it was not closed."""
    ROUTER_DEAD = "router_dead"
    """In our lists, closed in the library."""
    ROUTER_UNKNOWN = "router_unknown"
    """In the library, in none of our lists."""
    TRANSPORT_WITHOUT_ROW = "transport_without_row"
    ROW_WITHOUT_TRANSPORT = "row_without_transport"
    TRANSPORT_DEAD = "transport_dead"
    TRANSPORT_UNKNOWN = "transport_unknown"
    PRODUCER_WITHOUT_ROW = "producer_without_row"
    ROW_WITHOUT_PRODUCER = "row_without_producer"
    PRODUCER_DEAD = "producer_dead"
    PRODUCER_UNKNOWN = "producer_unknown"
    PRODUCER_PAUSED = "producer_paused"
    """Paused in memory and not in its row, or the other way round."""
    CONSUMER_WITHOUT_ROW = "consumer_without_row"
    ROW_WITHOUT_CONSUMER = "row_without_consumer"
    CONSUMER_DEAD = "consumer_dead"
    CONSUMER_UNKNOWN = "consumer_unknown"
    CONSUMER_PAUSED = "consumer_paused"
    EARLIER_BOOT = "earlier_boot"
    """Rows of a boot before this one that nobody buried."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `id` names the object, a router for those of a meeting, a boot for an earlier one's."""

    drift: Drift
    id: str


Paused = Mapping[str, bool | None]
"""Objects and whether they are paused; None for what cannot be."""

NOUNS = ("transport", "producer", "consumer")


@dataclass(frozen=True, slots=True)
class Kept:
    """A meeting's router as our lists and the library have it."""

    router: RouterId
    dead: bool
    leaving: bool
    listed: Mapping[str, Paused]
    """By noun: what our lists have."""
    existing: Mapping[str, Set[str]]
    """By noun: what the library has."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the rows say of a meeting at one epoch. `router`: of this boot's allocation; `wanted` here, or at least `kept` for a while."""

    router: RouterId | None
    wanted: bool
    kept: bool
    rows: Mapping[str, Paused] = field(default_factory=lambda: {noun: {} for noun in NOUNS})


def of_meeting(kept: Kept | None, written: Written, *, lost: bool) -> Finding | None:
    """Judge the router as a whole. `lost`: it is known to be gone, and kendra is being told."""
    if kept is None:
        if written.router is None or lost:
            return None
        missing = Drift.ROW_WITHOUT_ROUTER if written.wanted else Drift.ROUTER_NOT_WANTED
        return Finding(missing, written.router)
    if kept.dead:
        return Finding(Drift.ROUTER_DEAD, kept.router)
    if not written.wanted and not (kept.leaving and written.kept):
        return Finding(Drift.ROUTER_NOT_WANTED, kept.router)
    if written.router is None:
        return Finding(Drift.ROUTER_WITHOUT_ROW, kept.router)
    return None


def of_objects(kept: Kept, written: Written) -> Iterator[Finding]:
    """Judge what hangs from a router that is wanted and there. One that is leaving is not looked into: its rows go with it."""
    if kept.leaving:
        return
    for noun in NOUNS:
        listed, existing, rows = kept.listed[noun], kept.existing[noun], written.rows[noun]
        yield from _each(f"{noun}_dead", listed.keys() - existing)
        yield from _each(f"{noun}_unknown", existing - listed.keys())
        yield from _each(f"{noun}_without_row", (listed.keys() & existing) - rows.keys())
        yield from _each(f"row_without_{noun}", rows.keys() - listed.keys())
        alike = listed.keys() & existing & rows.keys()
        yield from _each(f"{noun}_paused", {id for id in alike if listed[id] != rows[id]})


def _each(drift: str, ids: Set[str]) -> Iterator[Finding]:
    return (Finding(Drift(drift), id) for id in sorted(ids))
