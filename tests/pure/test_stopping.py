"""A stop ends in time whatever takes a cancel for something else, and a process ends with its main."""

import asyncio
import time
from contextlib import closing

import pytest
from structlog.testing import capture_logs

from services.stopping import cancelled, run_to_the_end, within


async def _takes_cancels_for_something_else(times: int) -> None:
    taken = 0
    while taken < times:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            taken += 1


async def test_what_takes_too_long_is_given_up_though_it_takes_no_cancel() -> None:
    began = time.monotonic()
    with capture_logs() as told:
        await within(0.05, _takes_cancels_for_something_else(3), "wait for nothing")
    assert time.monotonic() - began < 1.0
    assert told == [{"event": "given up", "what": "wait for nothing", "error": "TimeoutError", "log_level": "warning"}]
    await cancelled(asyncio.all_tasks() - {asyncio.current_task()})


@pytest.mark.parametrize("error", [ValueError("wrong"), asyncio.CancelledError("nobody asked for it")], ids=repr)
async def test_what_fails_in_whatever_way_is_given_up(error: BaseException) -> None:
    async def fails() -> None:
        raise error

    with capture_logs() as told:
        await within(5.0, fails(), "fail")
    assert [line["event"] for line in told] == ["given up"]


async def test_a_cancel_is_repeated_until_it_was_taken_for_one() -> None:
    task = asyncio.create_task(_takes_cancels_for_something_else(3))
    await asyncio.sleep(0)
    await cancelled({task}, each=0.01)
    assert task.done()


@pytest.mark.parametrize("times", [0, 1, 3])
def test_a_process_ends_though_something_in_it_took_a_cancel_for_something_else(times: int) -> None:
    async def main() -> tuple[int, asyncio.Task[None]]:
        task = asyncio.create_task(_takes_cancels_for_something_else(times))
        await asyncio.sleep(0)
        return 7, task

    began = time.monotonic()
    status, task = run_to_the_end(main())
    assert (status, task.done()) == (7, True)
    assert time.monotonic() - began < 2.0


def test_a_process_ends_without_what_goes_on_all_the_same_and_names_it() -> None:
    async def main() -> asyncio.Task[None]:
        task = asyncio.create_task(_takes_cancels_for_something_else(8), name="the obstinate")
        await asyncio.sleep(0)
        return task

    began = time.monotonic()
    with capture_logs() as told:
        task = run_to_the_end(main())
    assert time.monotonic() - began < 2.0
    assert not task.done()
    assert told == [{"event": "does not end", "what": ["the obstinate"], "log_level": "error"}]
    with closing(task.get_loop()) as loop:
        loop.run_until_complete(cancelled({task}))


def test_what_a_main_raises_is_raised() -> None:
    async def main() -> None:
        raise OSError("cannot listen")

    with pytest.raises(OSError, match="cannot listen"):
        run_to_the_end(main())
