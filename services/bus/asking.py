"""One ask in flight: what is asked of whom, and the future that its reply, or why there is none, is put into."""

import asyncio
from dataclasses import dataclass, field

from aio_pika.abc import AbstractIncomingMessage

from contracts.failure import KendraError
from services.bus.call import Call


@dataclass(slots=True, eq=False)
class Asking:
    """`confirmed` once the broker has it, `repeated` once it was sent again after a reconnect."""

    queue: str
    type: str
    body: bytes
    call: Call
    correlation: str
    answer: asyncio.Future[AbstractIncomingMessage] = field(default_factory=asyncio.Future)
    confirmed: bool = False
    repeated: bool = False

    def answered(self, reply: AbstractIncomingMessage) -> None:
        """Hand the reply to who asked, unless there is an outcome already."""
        if not self.answer.done():
            self.answer.set_result(reply)

    def fail(self, failure: KendraError) -> None:
        """Raise where it was asked, unless there is an outcome already."""
        if not self.answer.done():
            self.answer.set_exception(failure)
