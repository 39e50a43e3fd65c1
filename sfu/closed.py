"""What closed with what: the answer of every `close()`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfu.consumer import Consumer
    from sfu.producer import Producer
    from sfu.transport import WebRtcTransport


@dataclass(frozen=True, slots=True)
class Closed:
    """The objects that closed by one decision, the deciding one first among its kind. Each object is in one such answer only once."""

    transports: tuple[WebRtcTransport, ...] = ()
    producers: tuple[Producer, ...] = ()
    consumers: tuple[Consumer, ...] = ()

    def __add__(self, other: Closed) -> Closed:
        return Closed(
            self.transports + other.transports, self.producers + other.producers, self.consumers + other.consumers
        )

    def __bool__(self) -> bool:
        return bool(self.transports or self.producers or self.consumers)
