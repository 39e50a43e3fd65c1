"""Where a meeting lives and who asks about it, as one query saw them. Pure.

A meeting is live when its router's allocation is of its epoch, made by the wanted boot, and that boot holds the lease.
"""

from dataclasses import dataclass
from enum import StrEnum

from contracts.ids import BootId, Epoch, InstanceId, MediaServerId, MeetingId, ParticipantId, RouterId, Seat, TenantId


class Lease(StrEnum):
    """What the rows say of the boot that a meeting wants."""

    HELD = "held"
    OVER = "over"
    """Not renewed in time; only a kendra that has watched without a break may believe it."""
    GONE = "gone"
    """The boot stopped, was buried, or a newer boot of the same server runs. Nobody else can renew it."""


@dataclass(frozen=True, slots=True)
class Place:
    """The meeting's wanted place. No server: unplaced; no router: its server has not made it yet."""

    tenant: TenantId
    meeting: MeetingId
    epoch: Epoch
    participants: int
    producers: int
    server: MediaServerId | None
    boot: BootId | None
    router: RouterId | None
    lease: Lease

    @property
    def streams(self) -> int:
        """Streams that the meeting books."""
        return self.participants * self.producers


@dataclass(frozen=True, slots=True)
class Seated:
    """A participant's instance in its current seat."""

    place: Place
    participant: ParticipantId
    instance: InstanceId
    seat: Seat


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """A router that nobody wants any more."""

    server: MediaServerId
    boot: BootId
    epoch: Epoch
