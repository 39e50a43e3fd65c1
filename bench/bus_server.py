"""The answering side of the bus benchmark: one queue, one handler that only answers. Prints `ready`, runs until killed."""

import asyncio
import sys

import uvloop

from contracts.message import Command, Reply
from services.bus import Call, QueueSpec, Serving
from services.log import configure

QUEUE = QueueSpec("kendra.bench", extra=(("x-expires", 30_000),))


class Echoed(Reply):
    """About 600 bytes with its envelope."""

    text: str


class Echo(Command[Echoed]):
    """About 900 bytes with its envelope."""

    text: str


async def echo(order: Echo, call: Call, world: None) -> Echoed:  # noqa: ARG001
    """Answer."""
    return Echoed(text=order.text[:300])


async def serve(url: str) -> None:
    """Serve until killed. Logged as the services do, or each command would be a line in a pipe that nobody reads."""
    configure("bench", "bench", "text")
    serving = Serving(url, QUEUE, {Echo: echo}, None, "kendra", "bench")
    await serving.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
