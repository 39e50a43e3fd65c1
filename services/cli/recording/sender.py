"""Sending recorded commands as broker user `tool`: with the recorded id and the hash of the body that the client sent, so a repeat is one."""

import asyncio
import json
import time
from dataclasses import dataclass, replace

from aiormq.exceptions import AMQPError
from pydantic import JsonValue

from contracts.actor import Actor, Grant
from contracts.failure import Failure, KendraError, MeetingNotFound
from contracts.ids import ApiKeyId, BootId, MediaServerId
from contracts.servers import ListServers, ServersListed
from services.bus import KENDRA_COMMANDS, NO_MEETING, NO_TENANT, Bus, Call, media_queue
from services.bus.envelope import as_json
from services.cli.recording.broker import unreachable
from services.cli.recording.plan import PASSING, Expected, Key
from services.cli.stack.errors import CannotRun

REPLAYER = Actor(key=ApiKeyId("replayer"), grants=(Grant.ADMIN, Grant.OPERATOR))

_BUDGET = 5.0
_PATIENCE = 15.0
"""How long a command is repeated that ends for a passing cause: seconds."""
_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Order:
    """A command as it will be sent."""

    queue: str
    type: str
    body: JsonValue
    call: Call


class Sender:
    """One connection to the deployment."""

    def __init__(self, url: str, name: str) -> None:
        self._bus = Bus(url, "tool", name)
        self._boots: dict[MediaServerId, BootId] = {}

    async def start(self) -> None:
        """Connect. Raises CannotRun."""
        try:
            await self._bus.start()
        except (AMQPError, OSError, TimeoutError) as error:
            raise unreachable(error) from None

    async def stop(self) -> None:
        """Disconnect."""
        await self._bus.stop()

    async def send(self, order: Order) -> Expected:
        """Return the reply; what ends for a passing cause is repeated for a while, with the same id."""
        until = time.monotonic() + _PATIENCE
        while True:
            reply = await self._once(order)
            if reply.code not in PASSING or time.monotonic() > until:
                return reply
            await asyncio.sleep(_PAUSE)

    async def _once(self, order: Order) -> Expected:
        call = replace(order.call, deadline=time.monotonic() + _BUDGET)
        body = json.dumps(order.body, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            type_, answer = await self._bus.exchange(order.queue, order.type, body, call)
        except KendraError as error:
            type_, answer = Failure.__name__, as_json(error.as_failure())
        return Expected(type_, json.loads(answer))

    async def meeting(self, key: Key) -> Expected | None:
        """Return what a meeting is now; None when it does not run. Raises CannotRun when that cannot be learnt."""
        reply = await self.send(
            Order(KENDRA_COMMANDS, "GetMeeting", {}, Call.begin(*key, _BUDGET, actor=REPLAYER)),
        )
        if reply.code == MeetingNotFound.code:
            return None
        if reply.code is not None:
            raise CannotRun(f"no kendra answers on that broker: {reply.code}")
        return reply

    async def servers(self) -> dict[MediaServerId, BootId]:
        """Return the live media servers. Raises CannotRun when no kendra answers."""
        call = Call.begin(NO_TENANT, NO_MEETING, _BUDGET, actor=REPLAYER)
        try:
            listed: ServersListed = await self._bus.ask(KENDRA_COMMANDS, ListServers(), call)
        except KendraError as error:
            raise CannotRun(f"no kendra answers on that broker: {error.code}") from None
        return {server.media_server_id: server.boot_id for server in listed.servers if server.live}

    async def media_queue_of(self, key: Key) -> str | None:
        """Return the queue of the media server where a meeting lives; None while it lives nowhere."""
        found = await self.meeting(key)
        where = found.body.get("mediaServerId") if found is not None and isinstance(found.body, dict) else None
        server = MediaServerId(str(where))
        if server not in self._boots:
            self._boots = await self.servers()
        return media_queue(server, self._boots[server]) if server in self._boots else None
