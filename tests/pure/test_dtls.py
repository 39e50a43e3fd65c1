"""DTLS without sockets: what transports of one certificate share, what they never share, and what one costs at rest."""

import asyncio
import ctypes
import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from aiortc.rtcdtlstransport import (
    SRTP_PROFILES,
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
)
from OpenSSL import SSL

from contracts.rtp import DtlsFingerprint
from sfu.webrtc import Certificate, Dtls

MOST_KIB = 92
"""What one transport's DTLS may take at rest. It takes 83; with a TLS context of its own it took 120."""
MANY = 300


def announced(certificate: RTCCertificate) -> list[DtlsFingerprint]:
    """Return what a peer with this certificate says of it."""
    return [DtlsFingerprint(algorithm=each.algorithm, value=each.value) for each in certificate.getFingerprints()]


class _Wire:
    """The peer's way to our end."""

    role = "controlling"

    def __init__(self) -> None:
        self.deliver: Callable[[bytes], None] = lambda _data: None
        self.came = asyncio.Queue[bytes]()

    async def _recv(self) -> bytes:
        return await self.came.get()

    async def _send(self, data: bytes) -> None:
        self.deliver(data)


class Peer:
    """A client of aiortc's, and our end that it talks to: `dtls`, what it came to, and the keys."""

    def __init__(self, ours: Certificate, own: RTCCertificate, expected: list[DtlsFingerprint]) -> None:
        self._ours, self.states, self.keys, wire = ours, ["new"], list[tuple[str, bytes, bytes]](), _Wire()
        self.dtls = Dtls(
            ours, wire.came.put_nowait, lambda profile, *keys: self.keys.append((profile, *keys)), self.states.append
        )
        wire.deliver = self.dtls.received
        self.client = RTCDtlsTransport(wire, [own])
        self.client._set_role("client")
        self.dtls.start("server", expected)

    async def connect(self) -> str:
        """Do the handshake; return what our end came to."""
        trusted = [RTCDtlsFingerprint(each.algorithm, each.value) for each in self._ours.fingerprints()]
        client = asyncio.ensure_future(self.client.start(RTCDtlsParameters(trusted)))
        async with asyncio.timeout(5):
            while self.states[-1] in ("new", "connecting"):
                await asyncio.sleep(0)
            if self.states[-1] == "connected":
                await client
        client.cancel()
        return self.states[-1]

    def gone(self) -> None:
        """Free the peer's end."""
        if self.client._task is not None:
            self.client._task.cancel()
        del self.client


async def test_transports_of_one_certificate_have_keys_of_their_own() -> None:
    ours, own = Certificate(), RTCCertificate.generateCertificate()
    peers = [Peer(ours, own, announced(own)) for _ in range(3)]
    assert await asyncio.gather(*(peer.connect() for peer in peers)) == ["connected"] * 3
    secrets = [key for peer in peers for _, *keys in peer.keys for key in keys]
    assert len(set(secrets)) == len(secrets) == 6


async def test_each_peer_is_held_to_its_own_fingerprint_though_handshakes_share_a_context() -> None:
    ours = Certificate()
    one, other = RTCCertificate.generateCertificate(), RTCCertificate.generateCertificate()
    peers = [Peer(ours, one, announced(one)), Peer(ours, one, announced(other)), Peer(ours, other, announced(other))]
    assert await asyncio.gather(*(peer.connect() for peer in peers)) == ["connected", "failed", "connected"]
    assert [len(peer.keys) for peer in peers] == [1, 0, 1]


@pytest.mark.parametrize("honest", [True, False])
async def test_a_session_of_one_transport_is_never_resumed_on_another(
    honest: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, one, other = Certificate(), RTCCertificate.generateCertificate(), RTCCertificate.generateCertificate()
    context = one._create_ssl_context(SRTP_PROFILES)
    monkeypatch.setattr(one, "_create_ssl_context", lambda **_: context)
    first = Peer(ours, one, announced(one))
    assert await first.connect() == "connected"
    session = first.client._ssl.get_session()
    began = SSL.Connection.set_connect_state

    def resuming(connection: SSL.Connection) -> None:
        began(connection)
        connection.set_session(session)

    monkeypatch.setattr(SSL.Connection, "set_connect_state", resuming)
    second = Peer(ours, one, announced(one if honest else other))
    assert await second.connect() == ("connected" if honest else "failed")
    if honest:
        assert second.client._ssl.master_key() != first.client._ssl.master_key(), "a handshake like the first"
    else:
        assert second.keys == []


def test_a_transport_at_rest_takes_little_memory() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.pure.test_dtls"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=True)
    assert float(done.stdout) < MOST_KIB


async def _measured() -> float:
    """Return the KiB of one connected transport, its peer's end not counted."""
    ours, own = Certificate(), RTCCertificate.generateCertificate()
    kept = []
    before = 0
    for number in range(MANY + 50):
        if number == 50:
            before = _resident()
        peer = Peer(ours, own, announced(own))
        assert await peer.connect() == "connected"
        peer.gone()
        kept.append(peer)
    await asyncio.sleep(0)
    return (_resident() - before) / MANY / 1024


def _resident() -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


if __name__ == "__main__":
    print(asyncio.run(_measured()))
