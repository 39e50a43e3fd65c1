"""The other end of a transport: its checks, its keys, what it got."""

import struct

from aioice.stun import Class, Message, Method
from pylibsrtp import Error, Policy, Session

from contracts.ids import TransportId
from sfu.plane import seat

Address = tuple[str, int]


def session(key: bytes, direction: int) -> Session:
    """Return an SRTP session as a peer has it."""
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM)
    policy.window_size, policy.allow_repeat_tx = 1024, True
    return Session(policy)


class Peer:
    """The other end of a transport."""

    def __init__(self, name: str, address: Address) -> None:
        self.name, self.address = TransportId(name), address
        self.ice = seat.IceCredentials(f"fragment{name}", f"password-of-{name}-0123456789")
        self.sent_key, self.got_key = name.encode().ljust(28, b"s"), name.encode().ljust(28, b"g")
        self._outbound = session(self.sent_key, Policy.SSRC_ANY_OUTBOUND)
        self.seen: list[tuple[int, int]] = []
        """(ssrc, sequence) of what it got."""

    def check(self) -> bytes:
        message = Message(Method.BINDING, Class.REQUEST, b"0123456789ab")
        message.attributes["USERNAME"] = f"{self.ice.username_fragment}:peer"
        message.attributes |= {"PRIORITY": 1, "ICE-CONTROLLING": 7, "USE-CANDIDATE": None}
        message.add_message_integrity(self.ice.password.encode())
        message.add_fingerprint()
        return bytes(message)

    def rtp(self, packet: bytes) -> bytes:
        try:
            return bytes(self._outbound.protect(packet))
        except Error:  # libsrtp sends nothing that is more than a window behind
            return b""

    def rtcp(self, packet: bytes) -> bytes:
        return bytes(self._outbound.protect_rtcp(packet))

    def got(self, datagram: bytes) -> None:
        if 128 <= datagram[0] < 192 and not 192 <= datagram[1] <= 223:
            sequence, ssrc = struct.unpack_from("!H4xI", datagram, 2)
            self.seen = [*self.seen[-60:], (ssrc, sequence)]
