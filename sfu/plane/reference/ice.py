"""ICE-lite (RFC 8445 §2.5): answer authenticated checks, learn 5-tuples from them, hold consent (RFC 7675).

A check must carry USERNAME, MESSAGE-INTEGRITY and FINGERPRINT. One that is not authenticated gets no answer, where RFC 8489
§9.1.3 would send a 401: whoever knows no password may have forged the address, and a client whose credentials are just being
replaced does better to repeat its check than to be refused. The first valid 5-tuple is selected, then any with USE-CANDIDATE;
a browser whose network gave it another port may check from there without it (Firefox nominates once), so a selected 5-tuple
that was quiet for 10 s gives way to any valid one.
"""

from dataclasses import dataclass

from aioice.stun import Message

from sfu.packets.stun import addressee, role_conflict, success
from sfu.plane.seat import IceCredentials

Address = tuple[str, int]

MAX_TUPLES = 8
MAX_CREDENTIALS = 4
QUIET = 10.0
"""Seconds without a check or media after which a 5-tuple counts as left; Firefox checks each five."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What an authentic check led to: the reply, a 5-tuple that had to go, username fragments that ended."""

    reply: bytes
    dropped: Address | None = None
    retired: tuple[str, ...] = ()


class IceLite:
    """One transport's side of ICE. `selected` is where to send to; `alive_at` when the peer last proved to be there."""

    def __init__(self, credentials: IceCredentials) -> None:
        self._answered = [credentials]
        """The first is in use; the others were made after it, and whichever is used ends those before it."""
        self.tuples: dict[Address, float] = {}
        """The valid 5-tuples, and when each last proved to be the peer's."""
        self.selected: Address | None = None
        self.nominated = False
        self.alive_at: float | None = None

    def restart(self, credentials: IceCredentials) -> str | None:
        """Answer to new credentials too. Return the fragment that ended for that, if there were too many never used."""
        self._answered.append(credentials)
        return self._answered.pop(1).username_fragment if len(self._answered) > MAX_CREDENTIALS else None

    def fragments(self) -> list[str]:
        """Return the username fragments that are answered."""
        return [each.username_fragment for each in self._answered]

    def check(self, check: Message, address: Address, now: float) -> Checked | None:
        """Judge a check from `address`; None if it is not authentic."""
        fragment = addressee(check)
        used = next((each for each in self._answered if each.username_fragment == fragment), None)
        if used is None or not check.check_message_integrity(used.password.encode()):
            return None
        if "ICE-CONTROLLED" in check.attributes:
            return Checked(role_conflict(check, used.password))
        older = self._answered[: self._answered.index(used)]
        del self._answered[: len(older)]
        dropped = self._admit(address, "USE-CANDIDATE" in check.attributes, now)
        retired = tuple(each.username_fragment for each in older)
        return Checked(success(check, address, used.password), dropped, retired)

    def heard(self, address: Address, now: float) -> None:
        """Take note of a sign of life from one of the 5-tuples."""
        self.alive_at = now
        if address in self.tuples:
            self.tuples[address] = now

    def holds(self, address: Address, now: float) -> bool:
        """Say whether the peer was heard from there lately."""
        return address in self.tuples and now - self.tuples[address] <= QUIET

    def forget(self) -> None:
        """Know no 5-tuple any more."""
        self.tuples, self.selected, self.alive_at = {}, None, None

    def _admit(self, address: Address, nominating: bool, now: float) -> Address | None:
        """Keep a valid 5-tuple, select it if that is its turn, return the oldest other one if there are too many."""
        if nominating or self.selected is None or not self.holds(self.selected, now):
            self.selected = address
            self.nominated = self.nominated or nominating
        self.tuples.setdefault(address, now)
        self.heard(address, now)
        if len(self.tuples) <= MAX_TUPLES:
            return None
        dropped = next(each for each in self.tuples if each not in (self.selected, address))
        del self.tuples[dropped]
        return dropped
