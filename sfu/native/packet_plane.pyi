"""The native packet plane as Python sees it: one that runs on a thread of its own, and its core alone, for tests."""

from typing import Literal, TypeAlias, final

Address: TypeAlias = tuple[str, int]
Event: TypeAlias = (
    tuple[Literal["ice_selected"], str, Address, Literal["udp", "tcp"], bool]
    | tuple[Literal["ice_lost"], str]
    | tuple[Literal["datagram"], str, bytes]
    | tuple[Literal["started"], str]
    | tuple[Literal["silent"], str, bool]
    | tuple[Literal["died"], str]
)
Counters: TypeAlias = dict[str, int | float | str | None]

@final
class Plane:
    """A plane that listens. An order is any of those of `sfu.plane.seat`, read by class name and attributes."""

    def __init__(
        self,
        addresses: list[Address],
        consent_timeout: float,
        pin: int | None = None,
        name: str = "plane",
        frame_wait_us: int = 4000,
    ) -> None:
        """Bind every address, UDP and TCP, with one port number (0: any). Raises OSError."""

    @property
    def descriptor(self) -> int:
        """An eventfd: readable when there are events to drain."""

    @property
    def port(self) -> int: ...
    def order(self, order: object) -> None:
        """Carry out; does not wait. Raises TypeError for what is no order, KeyError for one about what was never opened."""

    def drain(self) -> list[Event]:
        """Return what happened since the last call, in order, and make the descriptor unreadable."""

    def beat(self) -> int:
        """Return how often the loop has turned."""

    def wake(self) -> None:
        """Make the loop turn once more."""

    def cpu_seconds(self) -> float:
        """Return the processor time that the thread used."""

    def transport_stats(self, name: str) -> Counters:
        """Return counters by the names of `seat.TransportStats`. Raises KeyError."""

    def producer_stats(self, name: str) -> Counters:
        """Return counters by the names of `seat.StreamStats`. Raises KeyError."""

    def consumer_stats(self, name: str) -> Counters:
        """Return counters by the names of `seat.StreamStats`. Raises KeyError."""

    def stats(self) -> Counters:
        """Return counters by the names of `seat.PlaneStats`."""

    def close(self) -> bool:
        """Close the sockets and end the thread; False if it stands still, after a quarter of a second: it is left behind."""

    def panic(self) -> None:
        """Let the thread panic."""

    def stall(self, milliseconds: int) -> None:
        """Let the thread stand still."""

@final
class Core:
    """A plane without sockets and clocks: bytes and `now` (seconds) in, bytes and events out."""

    def __init__(self, consent_timeout: float, frame_wait_us: int = 0) -> None: ...
    def order(self, order: object, now: float) -> None: ...
    def datagram(self, data: bytes, address: Address, now: float) -> None: ...
    def due(self, now: float) -> None: ...
    def next_due(self) -> float | None: ...
    def sent(self) -> list[tuple[bytes, Address]]:
        """Return what was to be sent since the last call."""

    def drain(self) -> list[Event]: ...
    def transport_stats(self, name: str) -> Counters: ...
    def producer_stats(self, name: str) -> Counters: ...
    def consumer_stats(self, name: str) -> Counters: ...
    def stats(self) -> Counters: ...
