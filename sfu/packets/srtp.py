"""SRTP and SRTCP on libsrtp: what is not authentic, replayed or too long comes out as None, never as an exception.

Replay protection is on (window 1,024). The same sequence number may be sent twice only with the same bytes, else AES-GCM's
nonce would be used for two messages: whoever resends takes the packet from its history, and an SSRC that was sent with is never
given out again under the same keys. libsrtp keeps state for each SSRC, so their number is bounded: a peer that takes ever new ones
ends the state of its oldest that is no stream of ours.
"""

from collections.abc import Container
from contextlib import suppress

from pylibsrtp import Error, Policy, Session

from sfu.plane.seat import SecureTransport

PROFILES = {
    "SRTP_AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "SRTP_AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    "SRTP_AES128_CM_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
WINDOW = 1024
MAX_SSRCS = 1024


def _session(key: bytes, profile: str, ssrc_type: int) -> Session:
    policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=PROFILES[profile])
    policy.window_size = WINDOW
    policy.allow_repeat_tx = ssrc_type == Policy.SSRC_ANY_OUTBOUND
    return Session(policy)


class Srtp:
    """Both directions of one transport. `streams` has the SSRCs of the peer that must keep their state."""

    def __init__(self, keys: SecureTransport, streams: Container[int]) -> None:
        self._inbound = _session(keys.receive_key, keys.profile, Policy.SSRC_ANY_INBOUND)
        self._outbound = _session(keys.send_key, keys.profile, Policy.SSRC_ANY_OUTBOUND)
        self._streams = streams
        self.ssrcs: dict[bytes, None] = {}

    def open(self, data: bytes, rtcp: bool) -> bytes | None:
        """Return the authentic plaintext."""
        ssrc = data[4:8] if rtcp else data[8:12]
        try:
            plain = self._inbound.unprotect_rtcp(data) if rtcp else self._inbound.unprotect(data)
        except (Error, ValueError):  # ValueError: longer than pylibsrtp's buffer of 1,500 bytes
            return None
        if ssrc not in self.ssrcs:
            self._remember(ssrc)
        return plain

    def _remember(self, ssrc: bytes) -> None:
        self.ssrcs[ssrc] = None
        if len(self.ssrcs) > MAX_SSRCS:
            oldest = next(each for each in self.ssrcs if int.from_bytes(each, "big") not in self._streams)
            del self.ssrcs[oldest]
            _forget(self._inbound, int.from_bytes(oldest, "big"))

    def seal(self, data: bytes, rtcp: bool) -> bytes | None:
        """Return what goes on the wire."""
        try:
            return self._outbound.protect_rtcp(data) if rtcp else self._outbound.protect(data)
        except (Error, ValueError):
            return None

    def sent_last(self, ssrc: int) -> None:
        """Forget a stream that nothing will be sent of any more."""
        _forget(self._outbound, ssrc)


def _forget(session: Session, ssrc: int) -> None:
    with suppress(Error):  # nothing was sealed or opened with it
        session.remove_stream(ssrc)
