"""What is in the packets that a plane sends, read as its peers read it."""

from pylibsrtp import Error, Policy

from sfu.packets import rtcp, rtp
from tests.differential.peer import Address, session
from tests.differential.plane_scenarios import Scenario
from tests.differential.planes import Sent


def is_rtcp(datagram: bytes) -> bool:
    return 192 <= datagram[1] <= 223


def media(sent: Sent) -> Sent:
    """Return the RTP packets by receiver and SSRC, each stream's in order."""
    found = [each for each in sent if 128 <= each[0][0] < 192 and not is_rtcp(each[0])]
    return sorted(found, key=lambda each: (each[1], each[0][8:12]))


class Reader:
    """Decrypts all that one plane sends, as its peers do."""

    def __init__(self, scenario: Scenario) -> None:
        self._peers = scenario.peers
        peers = (scenario.publisher, *scenario.receivers)
        self._sessions = {peer.name: session(peer.got_key, Policy.SSRC_ANY_INBOUND) for peer in peers}
        self._read: dict[bytes, bytes] = {}

    def plain(self, datagram: bytes, address: Address) -> bytes:
        """Return a packet in plain; one that comes again is known from before."""
        if datagram not in self._read:
            inbound = self._sessions[self._peers[address].name]
            self._read[datagram] = (
                inbound.unprotect_rtcp(datagram) if is_rtcp(datagram) else inbound.unprotect(datagram)
            )
        return self._read[datagram]


def fields(reader: Reader, datagram: bytes, address: Address) -> dict[str, object]:
    """Return what is in a sealed packet, by name."""
    try:
        packet = rtp.parse(reader.plain(datagram, address))
    except Error as error:
        ssrc, sequence = int.from_bytes(datagram[8:12], "big"), int.from_bytes(datagram[2:4], "big")
        return {"to": address, "ssrc": ssrc, "sequence": sequence, "seal": str(error)}
    assert packet is not None
    named = ("ssrc", "sequence", "payload_type", "marker", "timestamp", "csrcs", "extensions", "payload")
    return {"to": address} | {name: getattr(packet, name) for name in named} | {"seal": None}


def asked_for(reader: Reader, sent: Sent) -> list[tuple[int, int]]:
    """Return (ssrc, sequence) of what NACKs ask for."""
    compounds = [rtcp.parse(reader.plain(*each)) for each in sent if 128 <= each[0][0] < 192 and is_rtcp(each[0])]
    nacks = [each for compound in compounds for each in compound if isinstance(each, rtcp.Nack)]
    return sorted((each.ssrc, sequence) for each in nacks for sequence in each.sequences)
