"""Pause, resume, late joiners, loss: what a receiver gets over real ICE, DTLS and SRTP."""

import pytest

from contracts.rtp import Kind
from tests.sfu.peer import Peer, Picture, Tone
from tests.sfu.room import Room, colour, frames, received_sequences, room, until

pytestmark = pytest.mark.usefixtures("each_plane")


async def _watched(here: Room, viewer: Peer | None = None, publisher: Peer | None = None):
    """Connect two peers, one of which watches the other's red picture."""
    publisher, sending = await here.connected(publisher)
    viewer, receiving = await here.connected(viewer)
    video = await here.produce(publisher, sending, Picture((200, 40, 40)))
    consumer = here.consume(receiving, video)
    picture = await viewer.subscribe(Kind.VIDEO, consumer.rtp_parameters)
    return viewer, video, consumer, picture


async def test_sequence_numbers_go_on_without_a_hole_over_pause_and_resume() -> None:
    async with room() as here:
        viewer, video, consumer, picture = await _watched(here)
        ssrc = consumer.rtp_parameters.encodings[0].ssrc
        await frames(picture, 5)
        consumer.pause()
        before = consumer.stats()[0]["packetCount"]
        arrived = video.stats()[0]["packetCount"]
        await until(lambda: video.stats()[0]["packetCount"] > arrived + 10)
        assert consumer.stats()[0]["packetCount"] == before
        consumer.resume()
        await until(lambda: consumer.stats()[0]["packetCount"] > before + 10)
        video.pause()
        paused_at = consumer.stats()[0]["packetCount"]
        arrived = video.stats()[0]["packetCount"]
        await until(lambda: video.stats()[0]["packetCount"] > arrived + 10)
        assert consumer.stats()[0]["packetCount"] == paused_at
        assert consumer.producer_paused
        video.resume()
        await until(lambda: consumer.stats()[0]["packetCount"] > paused_at + 10)
        await until(lambda: len(received_sequences(viewer, ssrc)) >= paused_at + 10)

        sequences = received_sequences(viewer, ssrc)
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
        assert video.stats()[0]["pliCount"] >= 2


async def test_who_joins_late_gets_a_key_frame_at_once() -> None:
    async with room() as here:
        _, video, _, picture = await _watched(here)
        await frames(picture, 5)
        late, receiving = await here.connected()
        asked = video.stats()[0]["pliCount"]
        consumer = here.consume(receiving, video)
        shown = await frames(await late.subscribe(Kind.VIDEO, consumer.rtp_parameters), 3, seconds=5)
        assert colour(shown[0])[0] > 150
        assert video.stats()[0]["pliCount"] > asked


async def test_a_consumer_that_was_made_paused_sends_nothing_until_resumed() -> None:
    async with room() as here:
        publisher, sending = await here.connected()
        viewer, receiving = await here.connected()
        video = await here.produce(publisher, sending, Picture((40, 40, 200)))
        consumer = here.consume(receiving, video, paused=True)
        picture = await viewer.subscribe(Kind.VIDEO, consumer.rtp_parameters)
        await until(lambda: video.stats()[0]["packetCount"] > 10)
        assert consumer.stats()[0]["packetCount"] == 0
        consumer.resume()
        assert colour((await frames(picture, 3))[-1])[2] > 150


async def test_five_percent_loss_both_ways_is_repaired_with_retransmissions() -> None:
    async with room() as here:
        publisher, viewer = Peer(loss=0.05, seed=3), Peer(loss=0.05, seed=4)
        _, video, consumer, picture = await _watched(here, viewer, publisher)
        shown = await frames(picture, 120, seconds=20)
        assert all(colour(each)[0] > 140 for each in shown)
        inbound, outbound = video.stats()[0], consumer.stats()[0]
        assert inbound["packetsRepaired"] > 0
        assert inbound["nackCount"] > 0
        assert outbound["packetsRetransmitted"] > 0
        assert inbound["packetsLost"] <= 3


async def test_audio_is_resent_as_it_was_when_nobody_negotiated_retransmission() -> None:
    async with room() as here:
        publisher, sending = await here.connected()
        viewer, receiving = await here.connected()
        audio = await here.produce(publisher, sending, Tone(440))
        consumer = here.consume(receiving, audio)
        sound = await viewer.subscribe(Kind.AUDIO, consumer.rtp_parameters)
        await frames(sound, 10)
        ssrc = consumer.rtp_parameters.encodings[0].ssrc
        wanted = received_sequences(viewer, ssrc)[-1]
        await viewer.nack(ssrc, [wanted])
        await until(lambda: received_sequences(viewer, ssrc).count(wanted) == 2)
        assert consumer.stats()[0]["packetsRetransmitted"] == 1
