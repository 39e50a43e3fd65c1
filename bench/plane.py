"""What the plane costs: CPU of its process per forwarded packet, 1 to 10, beside a bare loop that only seals and sends the same bytes.

1,200-byte VP8 packets, AES-128-GCM, five packets a frame, readers that read. Same machine, same run, so the ratio is what counts.
"""

import asyncio
import socket
import struct
import sys
import time

from aioice.stun import Class, Message, Method
from pylibsrtp import Policy, Session

from bench.measure import Measure, cpu_seconds
from bench.plane_server import PASSWORD, PAYLOAD_TYPE, SSRC, fragment, key

CONSUMERS = 10
FRAMES_PER_SECOND, PACKETS_A_FRAME, PAYLOAD = 100, 5, 1180
SECONDS = 6.0


def rtp(sequence: int, timestamp: int, first: bool, last: bool, key_frame: bool) -> bytes:
    """Return one VP8 packet of a frame."""
    header = struct.pack("!BBHII", 0x80, PAYLOAD_TYPE | (0x80 if last else 0), sequence & 0xFFFF, timestamp, SSRC)
    return header + bytes([0x10 if first else 0, 0 if key_frame else 1]) + b"\x5a" * (PAYLOAD - 2)


def session(secret: bytes, direction: int) -> Session:
    """Return an SRTP session for one direction."""
    return Session(Policy(key=secret, ssrc_type=direction, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM))


def check(number: int) -> bytes:
    """Return an authenticated ICE check that nominates."""
    message = Message(Method.BINDING, Class.REQUEST)
    message.attributes["USERNAME"] = f"{fragment(number)}:peer"
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 1
    message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(PASSWORD.encode())
    message.add_fingerprint()
    return bytes(message)


async def measure_plane() -> list[Measure]:
    """Run the plane in a process of its own, load it, and compare with the bare loop."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.plane_server", str(CONSUMERS), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        port = int(await asyncio.wait_for(server.stdout.readline(), 10))
        received, cpu = await asyncio.to_thread(_load, port, server.pid)
    finally:
        server.kill()
        await server.wait()
    sent = int(SECONDS * FRAMES_PER_SECOND) * PACKETS_A_FRAME
    floor = await asyncio.to_thread(_bare_loop)
    forwarded = 1e6 * cpu / max(1, received)
    return [
        Measure("plane: CPU per forwarded packet, 1 to 10", forwarded, "us"),
        Measure("plane: the same from a bare Python loop (seal and send)", floor, "us"),
        Measure("plane: forwarded packet over the bare loop", forwarded / floor, "ratio"),
        Measure("plane: packets lost of those due", 1 - received / (sent * CONSUMERS), "ratio"),
    ]


def _load(port: int, pid: int) -> tuple[int, float]:
    sockets = [_socket() for _ in range(CONSUMERS + 1)]
    for number, one in enumerate(sockets):
        one.sendto(check(number), ("127.0.0.1", port))
    for one in sockets:
        one.settimeout(5)
        one.recv(2048)
        one.setblocking(False)
    sealed = session(key(0, from_client=True), Policy.SSRC_ANY_OUTBOUND)
    received, sequence = 0, 0
    before, began = cpu_seconds([pid]), time.monotonic()
    for frame in range(int(SECONDS * FRAMES_PER_SECOND)):
        for number in range(PACKETS_A_FRAME):
            packet = rtp(sequence, frame * 900, number == 0, number == PACKETS_A_FRAME - 1, frame == 0)
            sockets[0].sendto(sealed.protect(packet), ("127.0.0.1", port))
            sequence += 1
        due = began + (frame + 1) / FRAMES_PER_SECOND
        while (left := due - time.monotonic()) > 0:
            received += _drain(sockets[1:])
            time.sleep(min(left, 0.002))
    time.sleep(0.1)
    received += _drain(sockets[1:])
    cpu = cpu_seconds([pid]) - before
    for one in sockets:
        one.close()
    return received, cpu


def _drain(sockets: list[socket.socket]) -> int:
    count = 0
    for one in sockets:
        try:
            while True:
                if len(one.recv(2048)) > 1000:
                    count += 1
        except BlockingIOError:
            continue
    return count


def _bare_loop(packets: int = 20_000) -> float:
    """Return µs of CPU that sealing and sending one packet costs in Python, to a reader that reads."""
    sender, reader = _socket(), _socket()
    reader.setblocking(False)
    sealed = session(key(1, from_client=False), Policy.SSRC_ANY_OUTBOUND)
    cost = 0.0
    for first in range(0, packets, 100):
        batch = [rtp(first + n, first, False, False, False) for n in range(100)]
        began = time.thread_time()
        for packet in batch:
            sender.sendto(sealed.protect(packet), reader.getsockname())
        cost += time.thread_time() - began
        _drain([reader])
    sender.close()
    reader.close()
    return 1e6 * cost / packets


def _socket() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    one.bind(("127.0.0.1", 0))
    return one
