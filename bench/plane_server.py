"""The measured side of the plane's benchmark: one producer, N consumers on N transports, keys known to both sides. Prints its port, runs until killed."""

import asyncio
import sys

from contracts.ids import ConsumerId, ProducerId, TransportId
from contracts.rtp import Kind
from sfu.plane import seat
from sfu.plane.reference.plane import ReferencePlane

PROFILE = "SRTP_AEAD_AES_128_GCM"
PAYLOAD_TYPE, SSRC = 96, 1000
PASSWORD = "p" * 32


def fragment(number: int) -> str:
    """Return a transport's username fragment; number 0 is the publisher's."""
    return f"bench{number}"


def key(number: int, *, from_client: bool) -> bytes:
    """Return a transport's master key and salt for one direction: 28 bytes."""
    return bytes([number, int(from_client)]) * 14


async def serve(consumers: int) -> None:
    """Open everything and wait."""
    plane = ReferencePlane("127.0.0.1", 0, None, lambda _: None, 30.0)
    for number in range(consumers + 1):
        transport = TransportId(fragment(number))
        plane.order(seat.OpenTransport(transport, seat.IceCredentials(fragment(number), PASSWORD)))
        plane.order(
            seat.SecureTransport(transport, PROFILE, key(number, from_client=True), key(number, from_client=False))
        )
    producer = ProducerId("producer")
    plane.order(
        seat.AddProducer(
            TransportId(fragment(0)),
            producer,
            Kind.VIDEO,
            (seat.Codec("video/VP8", 90_000, PAYLOAD_TYPE, 101),),
            {},
            SSRC,
            None,
            None,
            nack=True,
            pli=True,
            fir=False,
            transport_cc=False,
            paused=False,
        )
    )
    for number in range(1, consumers + 1):
        plane.order(
            seat.AddConsumer(
                TransportId(fragment(number)),
                ConsumerId(f"c{number}"),
                producer,
                SSRC + number,
                None,
                {101: None},
                {"urn:ietf:params:rtp-hdrext:sdes:mid": 1},
                "0",
                "bench",
                1,
                1,
                paused=False,
            )
        )
    print(plane.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
