"""One person: where it is on its way through a meeting, whom it hears, and whom it should."""

from dataclasses import dataclass

from services.cli.participant.media import Signature
from tests.chaos.watched import Watched

FRESH = 1.2
"""Who heard nothing for so long, or was answered nothing, is not well; seconds."""
SETTLING = 2.0
"""How long after somebody came in the others need not hear them yet."""
_HERTZ = 30.0


@dataclass
class Person:
    """Somebody's way through a meeting: one instance after the other."""

    meeting: str
    name: str
    signature: Signature
    token: str
    kinds: tuple[str, ...] = ("audio",)
    now: Watched | None = None
    inside_since: float = float("inf")
    answered: float = 0.0
    visits: int = 0
    """How often it came and went again."""

    @property
    def caller(self) -> str:
        """How the histories name it."""
        return f"{self.meeting}/{self.name}"

    def ill(self, other: "Person", now: float) -> str:
        """Return what this person lacks of the other, or of its media server; nothing when it is well."""
        if not self.hears(other, now):
            return f"{self.caller} hears nothing of {other.name}"
        return f"{self.caller} gets no answer from its media server" if now - self.answered > FRESH else ""

    def hears(self, other: "Person", now: float) -> bool:
        """Tell whether what the other sends arrives, or need not yet."""
        settled = max(self.inside_since, other.inside_since) + SETTLING < now
        if self.now is None or not settled:
            return True
        return now - self.now.seen[other.name].last.get("audio", 0.0) < FRESH

    def misheard(self, other: "Person") -> int | None:
        """Return the frequency (Hz) of what arrives as the other's tone, if it is not that."""
        if self.now is None:
            return None
        for view in self.now.producers.values():
            received = self.now.received.get(view.id)
            if (
                view.participant == other.name
                and received is not None
                and received.kind == "audio"
                and received.frames > 75
            ):
                heard = received.hertz
                return round(heard) if heard and abs(heard - other.signature.hertz) > _HERTZ else None
        return None
