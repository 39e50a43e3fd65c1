"""The lease as this process knows it, by its own monotonic clock. Pure: `now` is an argument.

Kendra takes the lease for over a while (5 s) after the last renewal, by the database's clock; this process stops answering after
four fifths of it, counted from when it sent the renewal. A lease says "can be asked": without a consumer at the broker it is not renewed for long.
"""

from contracts.failure import MediaServerUnavailable

ANSWERED_SHARE = 0.8
"""How much of the lease is answered for: the rest is how late a reply may be on its way."""


class Lease:
    """`lease` is how long kendra believes a renewal, `unheard_for` how long it is renewed without a broker; seconds."""

    def __init__(self, lease: float, unheard_for: float) -> None:
        self._answers_for = lease * ANSWERED_SHARE
        self._unheard_for = unheard_for
        self._sent = float("-inf")
        self._heard = float("-inf")

    def renewed(self, sent: float) -> None:
        """Take note of a renewal that succeeded, and when it was sent."""
        self._sent = max(sent, self._sent)

    def over(self) -> None:
        """Take note that it was given to nobody or to another boot: nothing is answered any more."""
        self._sent = float("-inf")

    def heard(self, now: float, consuming: bool, at: float | None = None) -> bool:
        """Take note whether the broker has us as a consumer, if not any more, since `at`; say whether the lease may be renewed."""
        if consuming or self._heard == float("-inf"):
            self._heard = now
        elif at is not None:
            self._heard = min(self._heard, at)
        return now - self._heard <= self._unheard_for

    def holds(self, now: float) -> bool:
        """Say whether commands may be answered."""
        return now - self._sent <= self._answers_for

    def must_hold(self, now: float) -> None:
        """Raise MediaServerUnavailable unless commands may be answered."""
        if not self.holds(now):
            raise MediaServerUnavailable("this media server could not renew its lease")
