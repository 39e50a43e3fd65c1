"""Who tells whom: what hangs from what closed closes too, once, and is in the answer."""

import pytest

from contracts.rtp import Kind
from tests.sfu.peer import Picture, Tone
from tests.sfu.room import Room, frames, room, until

pytestmark = pytest.mark.usefixtures("each_plane")


async def _call(here: Room):
    publisher, sending = await here.connected()
    viewer, receiving = await here.connected()
    video = await here.produce(publisher, sending, Picture((40, 200, 40)))
    consumer = here.consume(receiving, video)
    await frames(await viewer.subscribe(Kind.VIDEO, consumer.rtp_parameters), 2)
    return publisher, sending, receiving, video, consumer


async def test_a_peer_that_closes_dtls_takes_its_producers_and_their_consumers_along() -> None:
    async with room() as here:
        publisher, sending, receiving, video, consumer = await _call(here)
        reasons: list[str] = []
        sending.on_closed = lambda _transport, reason: reasons.append(reason)
        await publisher.close()
        await until(lambda: bool(reasons))
        assert reasons == ["dtls_closed"]
        closed = sending.close()
        assert (closed.transports, closed.producers, closed.consumers) == ((sending,), (video,), (consumer,))
        assert not here.router.producers
        assert not receiving.consumers
        assert list(here.router.transports.values()) == [receiving]
        assert not receiving.closed


async def test_a_peer_that_vanishes_is_gone_when_consent_is() -> None:
    async with room(consent_timeout=1.0) as here:
        publisher, sending, receiving, video, _ = await _call(here)
        reasons: dict[str, str] = {}
        for transport in (sending, receiving):
            transport.on_closed = lambda which, reason: reasons.update({which.id: reason})
        assert publisher.ice is not None
        await publisher.vanish()
        await until(lambda: sending.id in reasons, seconds=5)
        assert reasons[sending.id] == "consent_lost"
        assert sending.ice_state == "disconnected"
        assert video.closed


async def test_closing_a_transport_tells_the_peer() -> None:
    async with room() as here:
        publisher, sending = await here.connected()
        sending.close()
        await until(lambda: publisher.dtls.state == "closed")


async def test_closing_a_producer_closes_its_consumers_and_only_them() -> None:
    async with room() as here:
        publisher, sending, receiving, video, consumer = await _call(here)
        audio = await here.produce(publisher, sending, Tone(440))
        heard = here.consume(receiving, audio)
        closed = video.close()
        assert (closed.transports, closed.producers, closed.consumers) == ((), (video,), (consumer,))
        assert video.close() is closed
        assert consumer.closed
        assert not heard.closed
        assert consumer.stats() == video.stats() == []
        await until(lambda: heard.stats()[0]["packetCount"] > 5)


async def test_closing_a_consumer_closes_nothing_else() -> None:
    async with room() as here:
        _, _, receiving, video, consumer = await _call(here)
        assert consumer.close().consumers == (consumer,)
        assert not video.closed
        assert not receiving.closed
        assert not video.consumers


async def test_closing_a_router_closes_all_of_it_and_each_object_is_named_once() -> None:
    async with room() as here:
        _, sending, receiving, video, consumer = await _call(here)
        closed = here.router.close()
        assert sorted(each.id for each in closed.transports) == sorted([sending.id, receiving.id])
        assert (closed.producers, closed.consumers) == ((video,), (consumer,))
        assert here.router.id not in here.worker.routers
        assert here.worker.load().streams == here.worker.load().transports == 0


async def test_a_listener_that_fails_does_not_keep_the_transport_open() -> None:
    async with room() as here:
        publisher, sending = await here.connected()

        def fail(*_: object) -> None:
            raise RuntimeError("listener")

        sending.on_closed = fail
        await publisher.close()
        await until(lambda: sending.closed)
