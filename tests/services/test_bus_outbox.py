"""Messages that nobody waits for: one that cannot be written is lost alone."""

import asyncio

from services.bus.connection import Properties, connect, open_channel
from services.bus.outbox import Outbox
from services.testing.session import Broker


async def test_a_message_that_cannot_be_written_does_not_stop_the_writer(rabbitmq: Broker) -> None:
    connection = await connect(rabbitmq.of["kendra"], "outbox test")
    channel = await open_channel(connection, confirms=False)
    queue = await channel.declare_queue("reply.kendra.outbox", durable=True, arguments={"x-expires": 60_000})
    outbox = Outbox("notice")
    await outbox.start(connection)
    outbox.post(b"lost", Properties(), "k" * 300, within=5.0)
    outbox.post(b"kept", Properties(), queue.name, within=5.0)
    async with asyncio.timeout(5.0), queue.iterator(no_ack=True) as arrived:
        message = await anext(arrived)
    assert message.body == b"kept"
    await outbox.stop()
    await connection.close()
