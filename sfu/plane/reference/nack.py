"""Which packets of a stream are missing, and when to ask for them (again): numbers and `now` in, numbers out.

An item is asked for after 10 ms (it may only be late), then each 40 ms, ten times; a media clock does not matter here.
Whether it can be asked for at all or not, a late packet counts only if it is missing: so nothing is forwarded twice.
"""

DELAY = 0.010
INTERVAL = 0.040
TRIES = 10
MAX_MISSING = 1000


class NackGenerator:
    """The gaps of one stream, by extended sequence number."""

    def __init__(self) -> None:
        self._highest: int | None = None
        self._key_frame: int | None = None
        self.missing: dict[int, tuple[float, int]] = {}

    def received(self, extended: int, key_frame: bool, now: float) -> bool:
        """Take note of a packet; True unless it was there before. A gap over 1,000 is given up: see `overflowed`."""
        if self._highest is None or extended > self._highest:
            gap = range(extended if self._highest is None else self._highest + 1, extended)
            self._highest = extended
            if len(self.missing) + len(gap) > MAX_MISSING:
                self.missing.clear()
            else:
                self.missing.update((each, (now + DELAY, 0)) for each in gap)
            if key_frame:
                self._forget_before_last_key_frame(extended)
            return True
        return self.missing.pop(extended, None) is not None

    def overflows(self, extended: int) -> bool:
        """Return whether this packet opens a gap too large to be repaired, so that only a key frame helps."""
        return self._highest is not None and len(self.missing) + extended - self._highest - 1 > MAX_MISSING

    def _forget_before_last_key_frame(self, extended: int) -> None:
        if self._key_frame is not None:
            for each in [each for each in self.missing if each < self._key_frame]:
                del self.missing[each]
        self._key_frame = extended

    def due(self, now: float) -> tuple[list[int], bool]:
        """Return what to ask for now, ascending, and whether something was asked for in vain for the last time."""
        asked: list[int] = []
        in_vain: list[int] = []
        for each, (at, tries) in self.missing.items():
            if at > now:
                continue
            if tries == TRIES:
                in_vain.append(each)
            else:
                asked.append(each)
                self.missing[each] = (now + INTERVAL, tries + 1)
        for each in in_vain:
            del self.missing[each]
        return sorted(asked), bool(in_vain)
