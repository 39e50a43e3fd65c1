"""ICE-lite (RFC 8445 §2.5): answer authenticated checks, learn 5-tuples from them, hold consent (RFC 7675).

A check must carry USERNAME, MESSAGE-INTEGRITY and FINGERPRINT. One that is not authenticated gets no answer, where RFC 8489
§9.1.3 would send a 401: whoever knows no password may have forged the address, and a client whose credentials are just being
replaced does better to repeat its check than to be refused. The first valid 5-tuple is selected, then any with USE-CANDIDATE.
"""

from dataclasses import dataclass

from aioice.stun import Message

from sfu.packets.stun import addressee, role_conflict, success
from sfu.plane.seat import IceCredentials

Address = tuple[str, int]

MAX_TUPLES = 8


@dataclass(frozen=True, slots=True)
class Checked:
    """What an authentic check led to: the reply, a 5-tuple that had to go, a username fragment that ended."""

    reply: bytes
    dropped: Address | None = None
    retired: str | None = None


class IceLite:
    """One transport's side of ICE. `selected` is where to send to; `alive_at` when the peer last proved to be there."""

    def __init__(self, credentials: IceCredentials) -> None:
        self._current = credentials
        self._former: IceCredentials | None = None
        self.tuples: list[Address] = []
        self.selected: Address | None = None
        self.nominated = False
        self.alive_at: float | None = None

    def restart(self, credentials: IceCredentials) -> str | None:
        """Answer to new credentials, and to the former until a check uses the new. Return the fragment that ended now."""
        ended = self._former
        self._former, self._current = self._current, credentials
        return ended.username_fragment if ended else None

    def fragments(self) -> list[str]:
        """Return the username fragments that are answered."""
        return [each.username_fragment for each in (self._current, self._former) if each]

    def check(self, check: Message, address: Address, now: float) -> Checked | None:
        """Judge a check from `address`; None if it is not authentic."""
        fragment = addressee(check)
        used = next(
            (each for each in (self._current, self._former) if each and each.username_fragment == fragment), None
        )
        if used is None or not check.check_message_integrity(used.password.encode()):
            return None
        if "ICE-CONTROLLED" in check.attributes:
            return Checked(role_conflict(check, used.password))
        retired = self._former.username_fragment if self._former and used is self._current else None
        if retired:
            self._former = None
        self.alive_at = now
        dropped = self._admit(address, "USE-CANDIDATE" in check.attributes)
        return Checked(success(check, address, used.password), dropped, retired)

    def _admit(self, address: Address, nominating: bool) -> Address | None:
        """Keep a valid 5-tuple, select it if that is its turn, return the oldest other one if there are too many."""
        if nominating or self.selected is None:
            self.selected = address
            self.nominated = self.nominated or nominating
        if address in self.tuples:
            return None
        self.tuples.append(address)
        if len(self.tuples) <= MAX_TUPLES:
            return None
        dropped = next(each for each in self.tuples if each != self.selected)
        self.tuples.remove(dropped)
        return dropped
