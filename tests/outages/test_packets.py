"""A cut is silence to TCP itself, and ends with whoever made it. Where a machine allows no cut, each test says so and holds what is left."""

import asyncio
import signal
import socket
import sys
import warnings
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psutil
import pytest

from services.cli.stack.ports import free_ports
from tests.eventually import eventually
from tests.outages.network import Link, cut_off
from tests.outages.packets import Refused, dropped

SOON = 0.4
HOLDER = """
import asyncio, sys
from tests.outages.packets import dropped
async def hold():
    async with dropped(int(sys.argv[1])):
        print("cut", flush=True)
        await asyncio.Event().wait()
asyncio.run(hold())
"""


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """Give the port of a service that says again what it is told."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while said := await reader.read(1024):
                writer.write(said)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def answers(port: int) -> bool:
    """Say whether somebody who comes is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"anybody?")
    said = await reader.read(1024)
    writer.close()
    return said == b"anybody?"


async def silent(port: int) -> bool:
    """Say whether somebody who comes is neither answered nor turned away."""
    try:
        return not await asyncio.wait_for(answers(port), SOON)
    except TimeoutError:
        return True


def sent_again(writer: asyncio.StreamWriter) -> int:
    """Return how often the kernel has sent again what was not acknowledged (tcpi_retransmits)."""
    return int(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[2])


async def test_who_is_cut_off_is_told_nothing_and_gets_everything_afterwards(recwarn: pytest.WarningsRecorder) -> None:
    async with echo() as port, echo() as other:
        link = Link()
        await link.open("127.0.0.1", port)
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        async with cut_off(link):
            writer.write(b"before it heals")
            answer = asyncio.create_task(reader.read(1024))

            async def tried_again() -> bool:
                assert sent_again(writer) > 0 or [said for said in recwarn if "drops no packets" in str(said.message)]
                return True

            await eventually(tried_again, within=5)
            assert await silent(link.port)
            assert await answers(other), "nobody else is cut off"
            assert not answer.done()
        assert await asyncio.wait_for(answer, 10) == b"before it heals"
        assert await answers(link.port)
        writer.close()
        await link.close()


@pytest.mark.parametrize("guarded", [True, False], ids=["which its guard takes away", "which the next one takes away"])
async def test_whoever_is_killed_in_a_cut_leaves_none_behind(guarded: bool) -> None:
    async with echo() as port:
        command = (sys.executable, "-c", HOLDER, str(port))
        holder = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
        assert holder.stdout
        assert holder.stderr
        cut = await holder.stdout.readline() == b"cut\n"
        if not cut:
            refused = (await holder.stderr.read()).decode().splitlines()[-1]
            assert Refused.__name__ in refused
            warnings.warn(f"nothing to leave behind: this machine drops no packets ({refused})", stacklevel=1)
        assert await silent(port) == cut
        guards = psutil.Process(holder.pid).children(recursive=True) if cut else []
        if not guarded:
            for guard in guards:
                guard.send_signal(signal.SIGKILL)
        if cut:
            holder.kill()
        await holder.wait()
        if not guarded and cut:
            assert await silent(port)
            async with dropped(free_ports(1)[0]):
                assert await asyncio.wait_for(answers(port), 5)

        async def again() -> bool:
            assert not await silent(port)
            return True

        await eventually(again, within=5)
