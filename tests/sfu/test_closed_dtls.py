"""A closed transport gives OpenSSL's memory back at once: transports that come and go are closed sooner than garbage is collected."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from contracts.ids import RouterId, TransportId
from contracts.rtp import DtlsFingerprint, DtlsParameters
from sfu.transport import WebRtcTransport
from sfu.worker import Worker, WorkerSettings
from tests.sfu.room import room

PEER = DtlsParameters(role="client", fingerprints=[DtlsFingerprint(algorithm="sha-256", value=":".join(["00"] * 32))])


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Have nothing collected that leads back to itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def openssl_of(transport: WebRtcTransport) -> object:
    """Return the connection of OpenSSL; None while there is none."""
    return transport._dtls._transport._ssl


async def until_gone(gone: "weakref.ref[object]") -> None:
    async with asyncio.timeout(5.0):
        while gone() is not None:
            await asyncio.sleep(0.01)


async def test_openssl_is_let_go_in_the_midst_of_a_handshake(uncollected: None) -> None:
    worker = await Worker.create(WorkerSettings())
    transport = worker.create_router(RouterId("r")).create_webrtc_transport(TransportId("t"))
    await transport.connect(PEER)
    async with asyncio.timeout(5.0):
        while openssl_of(transport) is None:
            await asyncio.sleep(0.01)
    connection = weakref.ref(openssl_of(transport))
    transport.close()
    await until_gone(connection)
    await worker.close()


async def test_openssl_is_let_go_after_a_call(uncollected: None) -> None:
    async with room() as here:
        _, transport = await here.connected()
        connection = weakref.ref(openssl_of(transport))
        transport.close()
        await until_gone(connection)
