"""Commands that nobody finishes: what a process that is gone left half done is undone by the services it was connected to."""

import asyncio
from uuid import uuid4

import asyncpg

from contracts.ids import BootId, CommandId, MediaServerId
from services.media_server.store import Database as Rows
from services.media_server.store import Store, sql
from services.media_server.store.database import SESSION
from services.testing.session import Broker, Cache, Database
from tests.eventually import eventually
from tests.services.kendra_peers import TENANT, staged


async def test_a_marker_of_a_media_server_that_is_gone_or_frozen_holds_up_nobody_and_is_not_kept(
    postgres: Database,
) -> None:
    """A commit in doubt is settled by a row with its id. Who wrote it may be killed, or never be heard of again, before taking it back."""
    assert "idle_in_transaction_session_timeout" in SESSION
    impatient = SESSION | {"idle_in_transaction_session_timeout": "300ms"}
    rows = Rows.open(postgres.of["media"], MediaServerId("ms1"), BootId("b"))
    await rows.start()
    try:
        for killed in (True, False):
            command = CommandId(uuid4())
            other = await asyncpg.connect(postgres.of["media"], server_settings=impatient)
            await other.execute("begin")
            assert await other.fetchval(sql.INSERT_MARKER, command) == command
            if killed:
                other.terminate()
            async with asyncio.timeout(5):
                assert not await Store(rows).landed(command)
            assert await Store(rows).handled(command) is None
            other.terminate()
    finally:
        await rows.close()


async def test_a_command_of_a_kendra_that_is_gone_leaves_no_step_and_can_be_repeated(
    postgres: Database, rabbitmq: Broker, redis: Cache
) -> None:
    async with staged(postgres, rabbitmq, redis) as stage:
        await stage.server("ms1")
        await stage.kendra()
        await stage.create("standup")
        id = uuid4()
        gone = await asyncpg.connect(postgres.of["kendra"])
        await gone.execute("begin")
        join = "select * from join_meeting($1, 'standup', 1, 'asha', '1', null, $2, $3, false, null)"
        await gone.execute(join, TENANT, id, "0" * 64)
        gone.terminate()
        joined = await stage.join("standup", "asha", id=id)
        assert joined.seat == 2

        async def one_step() -> bool:
            results = await stage.rows.fetch("select result from steps where step = 'join'")
            return [row["result"] for row in results] == ['{"seat": 2}']

        await eventually(one_step)
