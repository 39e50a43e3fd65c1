"""Run directories, child processes, ports and the supervisor: what a crash leaves, what is started again, what is refused."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from services.cli.stack.errors import AlreadyRunning, CannotRun, PortTaken
from services.cli.stack.ports import ServicePorts, check_base, free_ports
from services.cli.stack.process import Child
from services.cli.stack.rundir import RunDirectory
from services.cli.stack.supervisor import Kept, Supervisor, delay_after


async def test_only_one_process_holds_a_run_directory(tmp_path: Path) -> None:
    first, second = RunDirectory(tmp_path), RunDirectory(tmp_path)
    first.hold()
    with pytest.raises(AlreadyRunning, match=str(os.getpid())):
        second.hold()
    assert second.holder() == os.getpid()
    first.release()
    second.hold()
    second.release()


async def test_the_next_holder_ends_what_a_crashed_one_left(tmp_path: Path) -> None:
    left = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
    crashed = RunDirectory(tmp_path)
    crashed.record("left", left.pid)
    run = RunDirectory(tmp_path)
    await asyncio.to_thread(run.hold)
    assert not _lives(left.pid)
    run.release()


async def test_a_pid_that_is_somebody_elses_by_now_is_left_alone(tmp_path: Path) -> None:
    stranger = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
    state = {"processes": [{"name": "old", "pid": stranger.pid, "started": 1.0, "ready": None}], "facts": {}}
    (tmp_path / "state.json").write_text(json.dumps(state))
    run = RunDirectory(tmp_path)
    run.hold()
    run.release()
    assert stranger.returncode is None
    stranger.kill()
    await stranger.wait()


async def test_a_child_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import asyncio, os, pathlib, signal\nfrom services.cli.stack.process import Child\n"
        "async def main():\n"
        f"    child = Child('c', ['sleep', '600'], dict(os.environ), pathlib.Path({str(tmp_path / 'log')!r}))\n"
        "    await child.start()\n    print(child.pid, flush=True)\n    await child.wait()\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(await asyncio.to_thread(parent.stdout.readline))
    parent.kill()
    parent.communicate()
    async with asyncio.timeout(10):
        while _lives(pid):
            await asyncio.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


async def test_what_dies_is_started_again_and_what_dies_often_later(tmp_path: Path) -> None:
    child = Child("short", ["sh", "-c", "exit 3"], dict(os.environ), tmp_path / "log")
    told: list[str] = []
    await child.start()
    supervising = asyncio.create_task(Supervisor([Kept(child, child.start)], lambda _, what: told.append(what)).run())
    async with asyncio.timeout(10):
        while sum("status 3" in what for what in told) < 3:
            await asyncio.sleep(0.02)
    supervising.cancel()
    await asyncio.gather(supervising, return_exceptions=True)
    await child.stop()
    waits = [what.rpartition(" in ")[2] for what in told if "status 3" in what]
    assert waits[:3] == ["0.2 s", "0.4 s", "0.8 s"]
    assert delay_after(100) == 10.0


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    listener = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", free_ports(1)[0])
    port = listener.sockets[0].getsockname()[1]
    with pytest.raises(PortTaken, match=f"port {port} \\(redis\\)"):
        replace(ServicePorts.free(), redis=port).check()
    listener.close()


@pytest.mark.parametrize("base", [80, 32760, 40000, 65530])
def test_ports_stay_out_of_the_ephemeral_range(base: int) -> None:
    with pytest.raises(CannotRun, match="ephemeral"):
        check_base(base)
