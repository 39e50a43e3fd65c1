"""`make recordings`: run each flow on a system of its own and record it anew, for when the contract changed on purpose."""

import asyncio
import signal
import sys
from pathlib import Path

from services.cli.participant.api import Api
from services.cli.stack.private import AMQP_URL
from services.testing.session import Session, first_free_directory
from services.testing.system import System, running_system
from tests.flows.people import Meeting
from tests.recordings.flows import FLOWS, TOO_LARGE

HERE = Path(__file__).parent


async def make() -> None:
    """Record all flows."""
    run = first_free_directory()
    session = Session(run)
    try:
        async with running_system(session) as system:
            for name in FLOWS:
                print(await recorded(system, name, HERE / f"{name}.jsonl.zst"))
    finally:
        await session.stop()
        run.release()


async def recorded(system: System, flow: str, file: Path) -> str:
    """Record one flow into a file; return what the recorder said in the end."""
    meeting = Meeting(system)
    meeting.id = f"recorded-{flow.replace('_', '-')}"
    meeting.path = f"/v1/meetings/{meeting.id}"
    await meeting.admin.close()
    meeting.admin = Api(system.url, system.token(meeting=meeting.id), budget=10)
    file.unlink(missing_ok=True)
    command = ["-m", "services.cli.main", "record", "--meeting", meeting.id, "--meeting", TOO_LARGE, str(file)]
    recorder = await asyncio.create_subprocess_exec(
        sys.executable, *command, env={AMQP_URL: system.tool_amqp_url}, stdout=asyncio.subprocess.PIPE
    )
    assert recorder.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert b"recording into" in await recorder.stdout.readline()
            await FLOWS[flow](meeting)
            recorder.send_signal(signal.SIGINT)
            said, _ = await recorder.communicate()
            assert recorder.returncode == 0, said
            return said.decode().strip()
    finally:
        if recorder.returncode is None:
            recorder.kill()
        await meeting.end()


if __name__ == "__main__":
    asyncio.run(make())
