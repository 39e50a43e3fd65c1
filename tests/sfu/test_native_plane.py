"""What only the native plane has: a thread that may panic or stand still, several addresses, peers that come over TCP."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable

import pytest
from aioice.stun import Class, Message, Method, parse_message

from contracts.ids import RouterId, TransportId
from contracts.rtp import Kind
from sfu.plane import native, seat
from sfu.plane.native import NativePlane
from sfu.transport import WebRtcTransport
from sfu.worker import Worker, WorkerSettings
from tests.sfu.peer import Picture, Tone
from tests.sfu.room import Room, frames, room, until

if native.missing():
    pytest.skip(f"there is no native plane here: {native.missing()}", allow_module_level=True)


APART = 0.02
"""Seconds between the pieces of a stream, so that they are read one by one."""


@pytest.fixture
async def here() -> AsyncIterator[Room]:
    async with room(plane="native") as made:
        yield made


def plane_of(here: Room) -> NativePlane:
    assert isinstance(here.worker.plane, NativePlane)
    return here.worker.plane


def stands_still(plane: NativePlane, seconds: float) -> Callable[[], bool]:
    """Return a condition: the plane was asked to turn for so long and did not."""
    last, since = plane.turns(), time.monotonic()

    def holds() -> bool:
        nonlocal last, since
        turned = plane.turns()
        if turned != last:
            last, since = turned, time.monotonic()
        return time.monotonic() - since >= seconds

    return holds


def check(transport: WebRtcTransport) -> bytes:
    """Return an ICE check that nominates."""
    made = Message(Method.BINDING, Class.REQUEST)
    made.attributes |= {"USERNAME": f"{transport.ice_parameters.username_fragment}:x", "PRIORITY": 1}
    made.attributes |= {"ICE-CONTROLLING": 7, "USE-CANDIDATE": None}
    made.add_message_integrity(transport.ice_parameters.password.encode())
    return bytes(made)


async def test_a_panic_is_told_once_and_another_plane_can_take_the_port_at_once(here: Room) -> None:
    await here.connected()
    died: list[BaseException] = []
    here.worker.on_died = died.append
    plane_of(here).panic()
    await until(lambda: bool(died))
    again = await Worker.create(WorkerSettings(port=here.worker.port, plane="native"))
    here.transport()
    here.router.close()
    later: list[BaseException] = []
    again.on_died = later.append
    plane_of(Room(again)).panic()
    await until(lambda: bool(later))
    await again.close()
    assert len(died) == 1


async def test_a_panic_hurts_no_other_worker(here: Room) -> None:
    async with room(plane="native") as other:
        publisher, sending = await other.connected()
        viewer, receiving = await other.connected()
        video = await other.produce(publisher, sending, Picture((200, 40, 40)))
        picture = await viewer.subscribe(Kind.VIDEO, other.consume(receiving, video).rtp_parameters)
        await frames(picture, 2)
        died: list[BaseException] = []
        here.worker.on_died = died.append
        plane_of(here).panic()
        await until(lambda: bool(died))
        before = video.stats()[0]["packetCount"]
        await frames(picture, 10)
        assert video.stats()[0]["packetCount"] > before
        assert not sending.closed


async def test_a_plane_turns_when_it_is_woken_and_one_that_stands_still_does_not(here: Room) -> None:
    plane = plane_of(here)
    first = plane.turns()
    await until(lambda: plane.turns() > first)
    plane.stall(0.5)
    await until(stands_still(plane, 0.2))
    stuck = plane.turns()
    await until(lambda: plane.turns() > stuck)


async def test_nobody_waits_for_a_plane_that_stands_still(here: Room) -> None:
    transport = here.transport()
    plane_of(here).stall(1.5)
    await until(stands_still(plane_of(here), 0.1))
    began = time.monotonic()
    plane_of(here).order(seat.SendDatagram(transport.id, bytes(20)))
    assert here.worker.load().transports == 1
    assert plane_of(here).transport_stats(transport.id).bytes_received == 0
    plane_of(here).close()
    again = await Worker.create(WorkerSettings(port=here.worker.port, plane="native"))
    assert time.monotonic() - began < 0.5
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"anybody there?", ("127.0.0.1", again.port))
        await until(lambda: again.load().packets_received == 1)
    await again.close()


async def test_a_peer_may_come_over_tcp_on_the_same_port(here: Room) -> None:
    transport = here.transport()
    reader, writer = await asyncio.open_connection("127.0.0.1", here.worker.port)
    request = check(transport)
    framed = len(request).to_bytes(2, "big") + request
    for each in (framed[:1], framed[1:30], framed[30:]):
        writer.write(each)
        await writer.drain()
        await asyncio.sleep(APART)
    async with asyncio.timeout(5):
        answer = parse_message(await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big")))
    ours = writer.get_extra_info("sockname")
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == ours
    await until(lambda: transport.ice_state == "completed")
    shown = transport.stats()[0]["iceSelectedTuple"]
    assert (shown["protocol"], shown["remotePort"], shown["localPort"]) == ("tcp", ours[1], here.worker.port)
    transport._send_dtls(b"\x16" * 30)
    async with asyncio.timeout(5):
        assert await reader.readexactly(32) == b"\0\x1e" + b"\x16" * 30
    writer.close()


async def test_a_stream_of_rubbish_over_tcp_is_cut_off_and_hurts_nobody(here: Room) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", here.worker.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n" * 100)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    publisher, sending = await here.connected()
    audio = await here.produce(publisher, sending, Tone(440))
    await until(lambda: audio.flowing)


async def test_several_addresses_share_one_port_and_each_is_announced() -> None:
    worker = await Worker.create(WorkerSettings(listen_ip="127.0.0.1,::1", plane="native"))
    try:
        transport = worker.create_router(RouterId("r")).create_webrtc_transport(TransportId("t"))
        announced = [(each.address, each.protocol, each.port) for each in transport.ice_candidates]
        assert announced == [
            (address, protocol, worker.port) for protocol in ("udp", "tcp") for address in ("127.0.0.1", "::1")
        ]
        for address, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
            with socket.socket(family, socket.SOCK_DGRAM) as client:
                client.setblocking(False)
                client.sendto(check(transport), (address, worker.port))
                port = client.getsockname()[1]
                await until(lambda port=port: transport.ice_selected is not None and transport.ice_selected[1] == port)
                answer = parse_message(client.recv(2048))
                assert answer.attributes["XOR-MAPPED-ADDRESS"] == (address, port)
    finally:
        await worker.close()


async def test_a_port_that_is_taken_over_tcp_alone_is_taken(here: Room) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            await Worker.create(WorkerSettings(port=taken.getsockname()[1], plane="native"))
