"""A receiver that was away begins anew: with a key frame, with the next number, and with nothing from before."""

import pytest

from contracts.ids import ConsumerId, ProducerId
from sfu.packets import rtcp
from sfu.plane import seat
from tests.pure.virtual_plane import DELTA_FRAME, KEY_FRAME, call, key_frames_asked, sequences

pytestmark = pytest.mark.usefixtures("each_core")


@pytest.mark.parametrize("paused", ["consumer", "producer"])
def test_what_was_sent_before_a_pause_is_not_sent_again_after_it(paused: str) -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 5)
    consumer, producer = ConsumerId("consumer"), ProducerId("producer")
    plane.order(seat.PauseConsumer(consumer) if paused == "consumer" else seat.PauseProducer(producer))
    plane.order(seat.ResumeConsumer(consumer) if paused == "consumer" else seat.ResumeProducer(producer))
    viewer.report(rtcp.write_nack(5000, [30003]))
    publisher.media(6, KEY_FRAME)
    viewer.report(rtcp.write_nack(5000, [30003, 30004, 30005]))
    again = [packet for packet in viewer.packets if packet.ssrc == 5001]
    assert [int.from_bytes(each.payload[:2], "big") for each in again] == [30005]


def test_numbers_do_not_go_on_while_nobody_is_there() -> None:
    """Who comes back guesses the upper half of a number from the last one he got (RFC 3711 §3.3.1)."""
    plane, publisher, viewer = call()
    publisher.frames(1, 5)
    for sequence in range(6, 106):
        plane.after(0.4, step=0.1)
        publisher.media(sequence)
    assert seat.IceLost(viewer.name) in plane.events
    before, asked = len(viewer.packets), key_frames_asked(publisher)
    assert before < 100
    viewer.check(nominate=True)
    publisher.media(106, DELTA_FRAME)
    assert len(viewer.packets) == before
    assert key_frames_asked(publisher) == asked + 1
    publisher.media(107, KEY_FRAME)
    publisher.media(108, DELTA_FRAME)
    assert sequences(viewer) == list(range(30000, 30000 + before + 2))
