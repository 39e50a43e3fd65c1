"""What a fake media server does wrong when a command comes, as values. Each counts the commands of its kind that it meets."""

from dataclasses import dataclass, field

from contracts.failure import KendraError, MediaServerUnavailable
from contracts.message import Command, Message, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Happens the first `times` times; None: each time."""

    times: int | None = 1


@dataclass(frozen=True, slots=True)
class Refuses(Fault):
    """Answers with a failure, and does nothing."""

    command: type[Command[Reply]]
    failure: type[KendraError] = MediaServerUnavailable


@dataclass(frozen=True, slots=True)
class Slow(Fault):
    """Begins so many seconds later. Whoever asked may have given up by then; what is asked is done all the same if it still is wanted."""

    command: type[Command[Reply]]
    seconds: float


@dataclass(frozen=True, slots=True)
class DiesAfterCommit(Fault):
    """Does what it is asked, has the database confirm it, and dies before it answers: no reply, no renewal of its lease, no goodbye."""

    command: type[Command[Reply]]


@dataclass(frozen=True, slots=True)
class AnswersTwice(Fault):
    """Sends its reply two times."""

    command: type[Command[Reply]]


AnyFault = Refuses | Slow | DiesAfterCommit | AnswersTwice


@dataclass(slots=True)
class Faults:
    """The faults of one server, and how often each happened."""

    faults: tuple[AnyFault, ...]
    happened: dict[AnyFault, int] = field(default_factory=dict)

    def of(self, order: Message | str) -> list[AnyFault]:
        """Return those that happen to this command now."""
        name = order if isinstance(order, str) else type(order).__name__
        met = [fault for fault in self.faults if fault.command.__name__ == name]
        return [fault for fault in met if fault.times is None or self.happened.get(fault, 0) < fault.times]

    def count(self, fault: AnyFault) -> None:
        """Take note that a fault happened."""
        self.happened[fault] = self.happened.get(fault, 0) + 1

    def idle(self) -> list[AnyFault]:
        """Return those that never happened."""
        return [fault for fault in self.faults if fault not in self.happened]
