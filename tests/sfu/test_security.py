"""Nobody gets in without the right certificate, and nothing is read from where no check came from."""

import asyncio
import socket

import pytest

from contracts.rtp import DtlsFingerprint, DtlsParameters
from sfu.errors import InvalidRtpParameters, InvalidState
from sfu.plane import seat
from tests.sfu.peer import Peer, Tone
from tests.sfu.room import room, until

pytestmark = pytest.mark.usefixtures("each_plane")

WRONG = [DtlsFingerprint(algorithm="sha-256", value=":".join(["AB"] * 32))]


@pytest.mark.parametrize("role", ["client", "server"])
async def test_a_peer_with_another_certificate_than_announced_is_never_secured(
    role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with room() as here:
        reasons: list[str] = []
        transport, peer = here.transport(), Peer(role)
        here.peers.append(peer)
        ordered: list[seat.Order] = []
        give = here.worker.plane.order
        monkeypatch.setattr(here.worker.plane, "order", lambda order: (ordered.append(order), give(order))[1])
        transport.on_closed = lambda _transport, reason: reasons.append(reason)
        await transport.connect(DtlsParameters(role=role, fingerprints=WRONG))
        connecting = asyncio.create_task(
            peer.connect(transport.ice_parameters, transport.ice_candidates, transport.dtls_parameters)
        )
        await until(lambda: bool(reasons))
        connecting.cancel()
        assert reasons == ["dtls_failed"]
        assert transport.closed
        assert transport.dtls_state == "failed"
        assert any(isinstance(order, seat.SendDatagram) for order in ordered), "the handshake did take place"
        assert not any(isinstance(order, seat.SecureTransport) for order in ordered)


@pytest.mark.parametrize("role", ["client", "server"])
async def test_a_server_that_is_not_who_it_says_is_refused_by_the_peer_in_both_roles(role: str) -> None:
    async with room() as here:
        transport, peer = here.transport(), Peer(role)
        here.peers.append(peer)
        await transport.connect(peer.dtls_parameters)
        state = await peer.connect(
            transport.ice_parameters, transport.ice_candidates, DtlsParameters(fingerprints=WRONG)
        )
        assert state == "failed"


@pytest.mark.parametrize("role", ["client", "server"])
async def test_a_peer_may_be_either_side_of_dtls(role: str) -> None:
    async with room() as here:
        publisher, sending = await here.connected(Peer(role))
        assert sending.dtls_state == "connected"
        audio = await here.produce(publisher, sending, Tone(300))
        await until(lambda: audio.flowing)


async def test_a_client_hello_that_comes_before_connect_is_kept() -> None:
    async with room() as here:
        transport, peer = here.transport(), Peer()
        here.peers.append(peer)
        connecting = asyncio.create_task(
            peer.connect(transport.ice_parameters, transport.ice_candidates, transport.dtls_parameters)
        )
        await until(lambda: transport.ice_state != "new" and transport.stats()[0]["bytesReceived"] > 500)
        await transport.connect(peer.dtls_parameters)
        assert await connecting == "connected"
        await until(lambda: transport.dtls_state == "connected")


async def test_dtls_and_rtp_from_an_address_without_a_check_are_not_looked_at() -> None:
    async with room() as here:
        transport = here.transport()
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with stranger:
            for datagram in (b"\x16\xfe\xfd" + bytes(60), b"\x80\x60" + bytes(60), b"\x80\xc8" + bytes(60)):
                stranger.sendto(datagram, ("127.0.0.1", here.worker.port))
            await until(lambda: here.worker.plane.stats().discarded == 3)
            stranger.setblocking(False)
            with pytest.raises(BlockingIOError):
                stranger.recv(2048)
        assert transport.stats()[0]["bytesReceived"] == 0


async def test_connect_twice_is_fine_with_the_same_parameters_only() -> None:
    async with room() as here:
        transport, peer = here.transport(), Peer()
        await transport.connect(peer.dtls_parameters)
        await transport.connect(peer.dtls_parameters)
        with pytest.raises(InvalidState):
            await transport.connect(Peer().dtls_parameters)


@pytest.mark.parametrize("fingerprints", [[], [DtlsFingerprint(algorithm="md2", value="00")]])
async def test_connect_without_a_fingerprint_that_can_be_verified_is_refused(fingerprints) -> None:
    async with room() as here:
        transport = here.transport()
        with pytest.raises(InvalidRtpParameters):
            await transport.connect(DtlsParameters(fingerprints=fingerprints))
        assert transport.dtls_state == "new"


async def test_a_peer_that_never_finishes_its_handshake_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfu.handshake.TIMEOUT", 0.2)
    async with room() as here:
        reasons: list[str] = []
        transport, peer = here.transport(), Peer()
        here.peers.append(peer)
        transport.on_closed = lambda _transport, reason: reasons.append(reason)
        await transport.connect(peer.dtls_parameters)
        await peer.connect_ice(transport.ice_parameters, transport.ice_candidates)
        await until(lambda: reasons == ["dtls_failed"])
        assert transport.closed


async def test_a_peer_that_was_announced_and_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """UDP is blocked, or the page is gone: nothing else would ever end the transport, and with it the seat."""
    monkeypatch.setattr("sfu.handshake.TIMEOUT", 0.2)
    async with room() as here:
        reasons: list[str] = []
        transport, waiting = here.transport(), here.transport()
        transport.on_closed = lambda _transport, reason: reasons.append(reason)
        await transport.connect(Peer().dtls_parameters)
        await until(lambda: reasons == ["consent_lost"])
        assert transport.closed
        assert not waiting.closed, "who has not connected yet may take all the time of the world"


async def test_an_ice_restart_gives_a_peer_that_did_not_come_time_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with room() as here:
        transport = here.transport()
        monkeypatch.setattr("sfu.handshake.TIMEOUT", 0.3)
        await transport.connect(Peer().dtls_parameters)
        monkeypatch.setattr("sfu.handshake.TIMEOUT", 60.0)
        transport.restart_ice()
        other = here.transport()
        monkeypatch.setattr("sfu.handshake.TIMEOUT", 0.4)
        await other.connect(Peer().dtls_parameters)
        await until(lambda: other.closed)
        assert not transport.closed
