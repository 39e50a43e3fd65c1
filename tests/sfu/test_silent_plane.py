"""The silent plane: control on it waits for nobody, binds nothing, and finds an order out of place as on any other plane."""

import socket

import pytest

from contracts.ids import ProducerId, TransportId
from sfu.plane import seat
from sfu.plane.silent import SilentPlane
from tests.sfu.room import room, until


async def test_an_announced_peer_that_never_comes_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfu.handshake.TIMEOUT", 0.05)
    async with room(plane="silent") as silent, room() as reference:
        there, here = silent.transport(), reference.transport()  # the silent one's time would be over first
        for transport in (there, here):
            await transport.connect(transport.dtls_parameters)
        await until(lambda: here.closed)
        assert not there.closed


async def test_it_takes_no_port() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        plane = SilentPlane("127.0.0.1", taken.getsockname()[1], "203.0.113.7")
        (candidate,) = plane.candidates()
        assert (candidate.address, candidate.port) == ("203.0.113.7", taken.getsockname()[1])


@pytest.mark.parametrize(
    "order",
    [
        seat.CloseTransport(TransportId("t")),
        seat.SendDatagram(TransportId("t"), b""),
        seat.PauseProducer(ProducerId("p")),
        seat.RemoveProducer(ProducerId("p")),
        seat.RequestKeyFrame(ProducerId("p")),
    ],
    ids=lambda order: type(order).__name__,
)
def test_an_order_about_what_was_never_opened_fails(order: seat.Order) -> None:
    with pytest.raises(KeyError):
        SilentPlane("127.0.0.1", 0, None).order(order)
