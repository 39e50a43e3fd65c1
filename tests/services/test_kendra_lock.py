"""Who sweeps: one kendra at a time, and none for ever. A process that is frozen keeps its connections, for its kernel answers for it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from contracts.failure import Unavailable
from services.kendra.store import database
from services.testing.session import Database
from tests.eventually import eventually

LOCK = 4711
HOLD = f"""
import asyncio, sys
from services.kendra.store import database
async def main():
    rows = await database.connect(sys.argv[1], 2)
    async with rows.alone({LOCK}, float(sys.argv[2])) as alone:
        print(alone, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""


@asynccontextmanager
async def held(postgres: Database, unheard: float) -> AsyncIterator[asyncio.subprocess.Process]:
    """Have a process of its own hold the lock."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-c", HOLD, postgres.of["kendra"], str(unheard))
    holder = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    assert holder.stdout is not None
    assert await asyncio.wait_for(holder.stdout.readline(), 10.0) == b"True\n"
    try:
        yield holder
    finally:
        with suppress(ProcessLookupError):
            holder.kill()
        await holder.communicate()


@pytest.fixture
async def rows(postgres: Database) -> AsyncIterator[database.Database]:
    opened = await database.connect(postgres.of["kendra"], 2)
    yield opened
    await opened.close()


async def free(rows: database.Database) -> bool:
    async with rows.alone(LOCK, 10.0) as alone:
        return alone


async def test_a_frozen_holder_loses_the_lock_and_one_that_works_for_long_does_not(
    postgres: Database, rows: database.Database
) -> None:
    async with held(postgres, unheard=0.5) as holder:
        loop = asyncio.get_running_loop()
        works_until = loop.time() + 1.5
        while loop.time() < works_until:
            assert not await free(rows)
        os.kill(holder.pid, signal.SIGSTOP)
        await eventually(lambda: free(rows), within=5.0)


async def test_a_killed_holder_loses_it_at_once(postgres: Database, rows: database.Database) -> None:
    async with held(postgres, unheard=60.0) as holder:
        assert not await free(rows)
        holder.kill()
        await eventually(lambda: free(rows), within=5.0)


async def test_who_lost_the_lock_hears_of_it_when_it_is_done_and_can_take_it_again(rows: database.Database) -> None:
    async def cut_off() -> None:
        async with rows.alone(LOCK, 10.0):
            await rows.row("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'")

    with pytest.raises(Unavailable):
        await cut_off()
    assert await free(rows)


async def test_a_connection_that_gave_the_lock_back_may_be_idle_again(rows: database.Database) -> None:
    assert await free(rows)
    settings = await rows.row("select current_setting('idle_session_timeout') as idle")
    assert settings is not None
    assert settings["idle"] == "0"
