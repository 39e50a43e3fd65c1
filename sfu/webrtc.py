"""The one place that touches aiortc, its private parts too: certificates, DTLS (RFC 5764), the keys that come of it.

Pinned to aiortc 1.16.0; tests/pure/test_webrtc_parts.py names each private part that is relied on. Rules:

* aiortc compares the peer's certificate with the announced fingerprints, in both roles, before `_setup_srtp`; so keys are
  exported only for a verified peer.
* AES-128-GCM first, then AES-256-GCM, then AES-CM with SHA-1 for old peers.
* One TLS context serves all transports of a certificate: it holds what they have in common (certificate, ciphers), and nothing of a peer,
  as no session is ever kept or resumed in it.
* SCTP stays off: application data has no receiver and is dropped. aiortc 1.16.0 can be made to loop for ever by an SCTP chunk.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import cast

from aiortc import RTCIceTransport, rtcdtlstransport
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from OpenSSL import SSL

from contracts.rtp import DtlsFingerprint

logger = logging.getLogger(__name__)

FINGERPRINT_ALGORITHMS = frozenset(rtcdtlstransport.X509_DIGEST_ALGORITHMS)
MAX_WAITING = 32
"""DTLS datagrams that may wait for the handshake to begin; a peer's flight has two or three."""

_PROFILES = [
    rtcdtlstransport.SRTP_AEAD_AES_128_GCM,
    rtcdtlstransport.SRTP_AEAD_AES_256_GCM,
    rtcdtlstransport.SRTP_AES128_CM_SHA1_80,
]


class _WithOneContext(RTCCertificate):
    """aiortc's certificate, which makes its TLS context once. aiortc makes one for each transport: 22 of its 120 KiB."""

    _context: SSL.Context | None = None

    def _create_ssl_context(self, srtp_profiles: list[rtcdtlstransport.SRTPProtectionProfile]) -> SSL.Context:
        if self._context is None:
            context = super()._create_ssl_context(srtp_profiles)
            context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
            # Those to write into go, 16 KiB each; the one to read into stays.
            context.set_mode(SSL.MODE_RELEASE_BUFFERS)
            self._context = context
        return self._context


class Certificate:
    """A worker's self-signed certificate (ECDSA P-256)."""

    def __init__(self) -> None:
        self.own = _WithOneContext.generateCertificate()
        self._fingerprints = [
            DtlsFingerprint(algorithm=each.algorithm, value=each.value)
            for each in self.own.getFingerprints()
            if each.algorithm == "sha-256"
        ]

    def fingerprints(self) -> list[DtlsFingerprint]:
        """Return the SHA-256 fingerprint alone: mediasoup-client uses the last of a list."""
        return list(self._fingerprints)


class _DatagramPath:
    """What aiortc takes for its ICE transport: datagrams in through a bounded queue with one reader, out through a function."""

    role = "controlled"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._deliver = send
        self._waiting: list[bytes] = []  # a Queue and an Event of asyncio's take 4 KiB of every transport
        self._reader: asyncio.Future[None] | None = None
        self._gone = False

    def received(self, data: bytes) -> None:
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(data)
            self._wake()

    def closed(self) -> None:
        """End a handshake that waits; what waits later fails at once."""
        self._gone = True
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def _recv(self) -> bytes:
        while not (self._waiting or self._gone):
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        if self._gone:
            raise ConnectionError
        return self._waiting.pop(0)

    async def _send(self, data: bytes) -> None:
        self._deliver(data)


class _KeyedTransport(RTCDtlsTransport):
    """aiortc's DTLS, which hands its SRTP keys out instead of making sessions of them."""

    def __init__(
        self, path: _DatagramPath, certificate: RTCCertificate, keyed: Callable[[str, bytes, bytes], None]
    ) -> None:
        super().__init__(cast(RTCIceTransport, path), [certificate])
        self._srtp_profiles = _PROFILES
        self._keyed = keyed

    def _setup_srtp(self) -> None:
        assert self._ssl is not None  # a handshake just ended on it
        name = self._ssl.get_selected_srtp_profile()
        profile = next((each for each in _PROFILES if each.openssl_profile == name), None)
        if profile is None:
            self._set_state(rtcdtlstransport.State.FAILED)
            return
        size = 2 * (profile.key_length + profile.salt_length)
        material = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        client, server = (profile.get_key_and_salt(material, each) for each in (0, 1))
        ours, theirs = (server, client) if self._role == "server" else (client, server)
        self._keyed(name.decode(), theirs, ours)


class Dtls:
    """One transport's DTLS association.

    `send` takes datagrams out. `keyed(profile, receive_key, send_key)` is called once the peer is verified, just before
    `changed("connected")`; `changed` hears "connecting", "connected", "failed" and "closed", each once.
    """

    def __init__(
        self,
        certificate: Certificate,
        send: Callable[[bytes], None],
        keyed: Callable[[str, bytes, bytes], None],
        changed: Callable[[str], None],
    ) -> None:
        self._path = _DatagramPath(send)
        self._transport = _KeyedTransport(self._path, certificate.own, keyed)
        self._changed = changed
        self._handshake: asyncio.Task[None] | None = None
        self._transport.on("statechange", self._state_changed)

    def received(self, data: bytes) -> None:
        """Take a DTLS datagram; before `start` a bounded number of them waits."""
        if len(data) >= 13:  # a record's header
            self._path.received(data)

    def start(self, role: str, fingerprints: Sequence[DtlsFingerprint]) -> None:
        """Begin the handshake as "server" or "client" with a peer of these fingerprints, all of which must match."""
        self._transport._set_role(role)
        announced = [RTCDtlsFingerprint(each.algorithm.lower(), each.value) for each in fingerprints]
        self._handshake = asyncio.get_running_loop().create_task(self._run(RTCDtlsParameters(announced)))

    async def _run(self, peer: RTCDtlsParameters) -> None:
        try:
            await self._transport.start(peer)
        except Exception as error:
            logger.info("DTLS handshake broke: %r", error)
            self._transport._set_state(rtcdtlstransport.State.FAILED)

    def _state_changed(self) -> None:
        self._changed(self._transport.state)

    def fail(self) -> None:
        """Give the handshake up."""
        self._path.closed()

    def close(self) -> None:
        """Tell the peer (close_notify) and end; `changed` is not called any more."""
        self._changed = lambda _state: None
        _run_through(self._transport.stop())
        self._path.closed()
        if self._handshake is None:
            return
        self._handshake.cancel()
        self._handshake.add_done_callback(self._let_go)

    def _let_go(self, _: asyncio.Task[None]) -> None:
        """Give OpenSSL's memory back, 80 KB: a transport is led back to by what it had, and waits for the collector of garbage."""
        self._handshake = None
        self._transport._ssl = None


def _run_through(coroutine: Coroutine[None, None, None]) -> None:
    """Run a coroutine that only waits for `_DatagramPath._send`, which never waits: so close() need not be async."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
