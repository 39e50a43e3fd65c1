"""A transport's way to its keys: the peer is announced, it comes (its first ICE check), DTLS. Each has 30 s, then it is given up; on a plane that nobody can reach nobody is waited for."""

import asyncio
from collections.abc import Callable

from contracts.rtp import DtlsParameters
from sfu.webrtc import Dtls

TIMEOUT = 30.0


class Handshake:
    """`nobody_came` is called when an announced peer did not come; for one that came and does not finish, DTLS says "failed"."""

    def __init__(self, dtls: Dtls, nobody_came: Callable[[], None], *, reachable: bool = True) -> None:
        self.peer: DtlsParameters | None = None
        self._dtls, self._nobody_came = dtls, nobody_came
        self._loop = asyncio.get_running_loop()
        self._came, self._begun, self._over = False, False, not reachable
        self._deadline: asyncio.TimerHandle | None = None

    def announce(self, peer: DtlsParameters) -> None:
        """Learn who is expected. A peer that says "server" gets a client, any other a server."""
        self.peer = peer
        self._go_on()

    def came(self) -> None:
        """Take note that the peer has a 5-tuple."""
        if not self._came:
            self._came = True
            self._go_on()

    def restarted(self) -> None:
        """Give a peer that did not come yet its time again: it got new ICE credentials."""
        if not self._came:
            self._wait()

    def over(self) -> None:
        """Wait for nothing any more."""
        self._over = True
        if self._deadline is not None:
            self._deadline.cancel()

    def _go_on(self) -> None:
        """Start DTLS once the peer is announced; a client waits for a 5-tuple too."""
        self._wait()
        if self.peer is None or self._begun or self._over:
            return
        role = "client" if self.peer.role == "server" else "server"
        if role == "server" or self._came:
            self._begun = True
            self._dtls.start(role, self.peer.fingerprints)

    def _wait(self) -> None:
        if self.peer is None or self._over:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(TIMEOUT, self._give_up)

    def _give_up(self) -> None:
        if self._came:
            self._dtls.fail()
        else:
            self._nobody_came()
