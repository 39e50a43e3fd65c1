"""The notice that a router is lost, as its media server sends it each second until nobody wants that router any more."""

import asyncio
import json
from dataclasses import dataclass
from uuid import uuid4

import aio_pika
import httpx2 as httpx

from services.testing.system import TENANT, System
from tests.faults.caller import Answer

_EACH = 1.0
_LOOK = 0.03
_MOVED = """
    select exists (select from meetings m join allocations a using (tenant, meeting, epoch, server, boot)
    where m.meeting = $1 and a.router <> $2)
"""


@dataclass
class Losing:
    """The notice about one router of epoch 1. It is answered by what follows: the meeting has another router."""

    system: System
    meeting: str
    router: str
    method: str = "tell"
    path: str = "RoutersLost"

    async def send(self, _http: httpx.AsyncClient) -> Answer:
        """Tell kendra once; unless it is of use within a second it has to be told again."""
        async with await aio_pika.connect(self.system.tool_amqp_url) as connection:
            channel = await connection.channel()
            await channel.default_exchange.publish(self._notice(), "kendra.commands")
        try:
            async with asyncio.timeout(_EACH):
                while not await self.system.postgres.fetchval(_MOVED, self.meeting, self.router):
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            return Answer(503, b'{"code": "not moved yet"}')
        return Answer(204, b"")

    def _notice(self) -> aio_pika.Message:
        lost = {"tenant": TENANT, "meetingId": self.meeting, "epoch": 1, "routerId": self.router}
        headers = {"remainingMs": int(_EACH * 1000), "tenant": TENANT, "meeting": self.meeting, "epoch": 1}
        body = json.dumps({"routers": [lost]}).encode()
        return aio_pika.Message(body, type=self.path, message_id=str(uuid4()), expiration=_EACH, headers=headers)
