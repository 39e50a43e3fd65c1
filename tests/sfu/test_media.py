"""Two real peers: what one publishes, the other decodes."""

import pytest

from contracts.rtp import Kind
from tests.sfu.peer import Picture, Tone
from tests.sfu.room import colour, frames, pitch, room

pytestmark = pytest.mark.usefixtures("each_plane")


async def test_opus_and_vp8_of_one_peer_are_decoded_by_another() -> None:
    async with room() as here:
        publisher, sending = await here.connected()
        viewer, receiving = await here.connected()
        video = await here.produce(publisher, sending, Picture((200, 40, 40)))
        audio = await here.produce(publisher, sending, Tone(440))
        seen = here.consume(receiving, video)
        heard = here.consume(receiving, audio)
        picture = await viewer.subscribe(Kind.VIDEO, seen.rtp_parameters)
        sound = await viewer.subscribe(Kind.AUDIO, heard.rtp_parameters)

        shown = await frames(picture, 10)
        played = (await frames(sound, 60))[10:]

        red, green, blue = colour(shown[-1])
        assert red > 150
        assert max(green, blue) < 90
        assert abs(pitch(played) - 440) < 10
        assert sending.stats()[0]["dtlsState"] == "connected"
        assert video.stats()[0]["packetCount"] >= 10
        assert seen.stats()[0]["packetsLost"] == 0
