"""SRTP and SRTCP on libsrtp: what is not authentic, replayed or too long comes out as None, never as an exception.

Replay protection is on (window 1,024). The same sequence number may be sent twice only with the same bytes, else AES-GCM's
nonce would be used for two messages: whoever resends takes the packet from the history. The number of SSRCs of a peer is
bounded, because libsrtp keeps state for each.
"""

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
    """Both directions of one transport."""

    def __init__(self, keys: SecureTransport) -> None:
        self._inbound = _session(keys.receive_key, keys.profile, Policy.SSRC_ANY_INBOUND)
        self._outbound = _session(keys.send_key, keys.profile, Policy.SSRC_ANY_OUTBOUND)
        self._ssrcs: set[bytes] = set()

    def open(self, data: bytes, rtcp: bool) -> bytes | None:
        """Return the authentic plaintext."""
        ssrc = data[4:8] if rtcp else data[8:12]
        if ssrc not in self._ssrcs and len(self._ssrcs) >= MAX_SSRCS:
            return None
        try:
            plain = self._inbound.unprotect_rtcp(data) if rtcp else self._inbound.unprotect(data)
        except (Error, ValueError):  # ValueError: longer than pylibsrtp's buffer of 1,500 bytes
            return None
        self._ssrcs.add(ssrc)
        return plain

    def seal(self, data: bytes, rtcp: bool) -> bytes | None:
        """Return what goes on the wire."""
        try:
            return self._outbound.protect_rtcp(data) if rtcp else self._outbound.protect(data)
        except (Error, ValueError):
            return None
