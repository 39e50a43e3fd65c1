"""Strangers that shout, peers that misbehave, bugs of our own: the others' calls go on."""

import socket
from collections.abc import Iterator

import pytest

from contracts.rtp import Kind
from tests.pure import corpora
from tests.sfu.peer import Picture, Tone
from tests.sfu.room import frames, room, until

pytestmark = pytest.mark.usefixtures("each_plane")


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.setblocking(False)
        yield made


async def test_a_flood_of_client_hellos_from_elsewhere_keeps_nobody_from_connecting(stranger: socket.socket) -> None:
    async with room() as here:
        hello = bytes.fromhex("16feff0000000000000000006d010000610000000000000061fefd") + bytes(90)
        for _ in range(5):
            for _ in range(50):
                stranger.sendto(hello, ("127.0.0.1", here.worker.port))
            _, transport = await here.connected()
            assert transport.dtls_state == "connected"
        with pytest.raises(BlockingIOError):
            stranger.recv(2048)


async def test_media_flows_on_under_garbage_from_strangers(stranger: socket.socket) -> None:
    async with room() as here:
        publisher, sending = await here.connected()
        viewer, receiving = await here.connected()
        video = await here.produce(publisher, sending, Picture((200, 40, 40)))
        picture = await viewer.subscribe(Kind.VIDEO, here.consume(receiving, video).rtp_parameters)
        for _ in range(4):
            for data in corpora.everything():
                stranger.sendto(data, ("127.0.0.1", here.worker.port))
            assert await frames(picture, 3)
        assert here.worker.plane.stats().discarded > 100
        assert here.worker.plane.stats().failures == 0


async def test_application_data_of_a_peer_is_dropped(stranger: socket.socket) -> None:
    """No SCTP: the packet that aiortc's would read for ever is not read."""
    async with room() as here:
        publisher, sending = await here.connected()
        await publisher.dtls._send_data(corpora.binary("found")["aiortc-sctp-zero-param-hang"])
        audio = await here.produce(publisher, sending, Tone(440))
        await until(lambda: audio.flowing)
        assert sending.dtls_state == "connected"


async def test_load_and_stats_show_what_flows() -> None:
    async with room() as here:
        publisher, sending = await here.connected()
        viewer, receiving = await here.connected()
        audio = await here.produce(publisher, sending, Tone(440))
        await viewer.subscribe(Kind.AUDIO, here.consume(receiving, audio).rtp_parameters)
        await until(lambda: here.worker.load().packets_per_second > 20)
        load = here.worker.load()
        assert (load.streams, load.transports, load.failures) == (2, 2, 0)
        assert load.bytes_sent_per_second > 1000
        assert load.bytes_received > load.packets_received > 0
        (stats,) = receiving.stats()
        assert stats["bytesSent"] > stats["rtpBytesSent"] > 0
        assert stats["iceState"] == "completed"
        assert stats["iceSelectedTuple"]["localPort"] == here.worker.port
