"""The lease as this process knows it, by its own monotonic clock. Pure: `now` is an argument.

Kendra takes the lease for over 5 s after the last renewal, by the database's clock; this process stops answering after 4 s,
counted from when it sent the renewal. A lease says "can be asked": without a consumer at the broker it is not renewed for long.
"""

from contracts.failure import MediaServerUnavailable

ANSWERS_FOR = 4.0
UNHEARD_FOR = 10.0


class Lease:
    """`answers_for` and `unheard_for` are seconds."""

    def __init__(self, answers_for: float = ANSWERS_FOR, unheard_for: float = UNHEARD_FOR) -> None:
        self._answers_for = answers_for
        self._unheard_for = unheard_for
        self._sent = float("-inf")
        self._heard = float("-inf")

    def renewed(self, sent: float) -> None:
        """Take note of a renewal that succeeded, and when it was sent."""
        self._sent = max(sent, self._sent)

    def heard(self, now: float, consuming: bool) -> bool:
        """Take note whether the broker has us as a consumer; say whether the lease may be renewed."""
        if consuming or self._heard == float("-inf"):
            self._heard = now
        return now - self._heard <= self._unheard_for

    def holds(self, now: float) -> bool:
        """Say whether commands may be answered."""
        return now - self._sent <= self._answers_for

    def must_hold(self, now: float) -> None:
        """Raise MediaServerUnavailable unless commands may be answered."""
        if not self.holds(now):
            raise MediaServerUnavailable("this media server could not renew its lease")
