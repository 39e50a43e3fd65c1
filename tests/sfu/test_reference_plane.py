"""What only the reference plane's insides show: bugs of its own, a socket that is taken from it, streams found by their MID."""

import logging
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from contracts.rtp import Kind
from sfu.packets import rtp
from sfu.worker import Worker, WorkerSettings
from tests.sfu.room import room, until
from tests.sfu.test_control import RTX, VP8, produced, sent


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.setblocking(False)
        yield made


async def test_a_bug_of_ours_is_counted_and_logged_once_a_second_and_the_plane_goes_on(
    stranger: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with room() as here:
        core = here.worker.plane._core

        def fail(*_: object) -> None:
            raise RuntimeError("a bug")

        with monkeypatch.context() as broken, caplog.at_level(logging.ERROR, "sfu"):
            broken.setattr(core, "datagram", fail)
            for _ in range(30):
                stranger.sendto(b"\x00", ("127.0.0.1", here.worker.port))
            await until(lambda: here.worker.load().failures >= 30)
        assert 1 <= len([each for each in caplog.records if each.name.startswith("sfu")]) <= 3
        await here.connected()
        core.stats.failures = 0


async def test_a_bug_about_one_transport_takes_no_other_peers_feedback() -> None:
    async with room() as here:
        core = here.worker.plane._core
        _, first = await here.connected()
        _, second = await here.connected()
        _, third = await here.connected()
        done: list[str] = []

        def fail(*_: object) -> None:
            raise RuntimeError("a bug")

        for work in ("every_100_ms", "every_second"):
            setattr(core.transports[first.id], work, fail)
            setattr(core.transports[third.id], work, lambda *_, work=work: done.append(work))
        core.transports[second.id].ice.alive_at -= 100
        await until(lambda: {"every_100_ms", "every_second"} <= set(done) and second.closed)
        assert core.stats.failures
        core.stats.failures = 0
        first.close()


async def test_a_worker_whose_socket_is_gone_says_so() -> None:
    async with room() as here:
        _, sending = await here.connected()
        died: list[BaseException] = []
        here.worker.on_died = died.append
        here.worker.plane._socket.close()
        sending.restart_ice()
        sending._send_dtls(b"\x16" * 20)
        await until(lambda: bool(died))
        assert isinstance(died[0], OSError)


async def test_a_plane_whose_own_loop_fails_is_dead_and_says_so_once() -> None:
    async with room() as here:
        _, receiving = await here.connected()
        core = here.worker.plane._core
        died: list[BaseException] = []
        here.worker.on_died = died.append

        def fail(_now: float) -> None:
            raise RuntimeError("a bug in the plane's loop")

        core.due = fail
        await until(lambda: bool(died))
        here.worker.die(RuntimeError("again"))
        assert [str(error) for error in died] == ["a bug in the plane's loop"]
        assert not receiving.closed, "who listens decides what becomes of it"
        again = await Worker.create(WorkerSettings(port=here.worker.port, plane="reference"))
        await again.close()


async def test_an_ssrc_of_zero_is_none_and_the_stream_is_found_by_its_mid() -> None:
    async with room() as here:
        transport = here.transport()
        params = sent(VP8, RTX, encodings=[{"ssrc": 0, "rtx": {"ssrc": 0}}], mid="5")
        producer = produced(transport, "p", Kind.VIDEO, params)
        stats = here.worker.plane.producer_stats(producer.id)
        packet = rtp.RtpPacket(True, 96, 1, 0, 777, b"", [], b"")
        inbound = here.worker.plane._core.producers[producer.id]
        assert (stats.ssrc, stats.rtx_ssrc) == (0, None)
        assert inbound.latch(replace(packet, payload_type=params.codecs[0].payload_type))
        assert inbound.latch(replace(packet, payload_type=params.codecs[1].payload_type, ssrc=778))
