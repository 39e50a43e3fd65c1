"""`docs/bus.md` says what the contracts say, and its example works as it stands."""

import asyncio
import os
import re
import sys

from contracts.create_meeting import CreateMeeting, MeetingCreated
from contracts.meeting import MeetingState
from services.bus import Call, Serving, kendra_commands
from services.bus.document import PAGE, document
from services.testing.session import Broker


def test_the_page_is_what_the_contracts_say() -> None:
    assert PAGE.read_text() == document(), "run: make docs"


async def create_meeting(order: CreateMeeting, call: Call, world: None) -> MeetingCreated:
    return MeetingCreated(
        meeting_id=order.meeting_id or call.meeting,
        media_server_id="m1",  # type: ignore[arg-type]
        router_id="r1",  # type: ignore[arg-type]
        epoch=1,  # type: ignore[arg-type]
        state=MeetingState.PLACED,
    )


async def test_the_example_works_as_the_brokers_user_tool(rabbitmq: Broker) -> None:
    example = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert example
    handlers = {CreateMeeting: create_meeting}
    service = Serving(rabbitmq.of["kendra"], kendra_commands(), handlers, None, "kendra", "p1")
    await service.start()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        example[1],
        env=os.environ | {"DOORDARSHAN_AMQP_URL": rabbitmq.of["tool"]},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    await service.stop()
    assert "'type': 'MeetingCreated'" in output.decode()
    assert "'routerId': 'r1'" in output.decode()
