"""How often a key frame may be asked for: at once, but not within half a second of the request before, and again each
second until one comes."""

INTERVAL = 0.5
RETRY = 1.0


class KeyFrameRequests:
    """One producer's throttle; set `wanted`, `due` says when to send."""

    def __init__(self) -> None:
        self.wanted = False
        self._sent_at: float | None = None
        self._answered = True

    def due(self, now: float) -> bool:
        """Return whether to send a request now; it counts as sent then."""
        wait = INTERVAL if self._answered else RETRY
        if not self.wanted or (self._sent_at is not None and now - self._sent_at < wait):
            return False
        self._sent_at, self._answered = now, False
        return True

    def arrived(self) -> None:
        """A key frame begins: nobody waits any more."""
        self.wanted, self._answered = False, True
