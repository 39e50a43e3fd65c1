"""An open transaction about one meeting: what a flow writes in it."""

from json import dumps

import asyncpg

from contracts.ids import BootId, MediaServerId, ParticipantId, TransportId
from contracts.meeting import AppData, Direction
from contracts.message import Reply
from services.bus import Call
from services.bus.envelope import as_json
from services.media_server.room import Allocated, Closing, LiveConsumer, LiveProducer, LiveTransport, Owner, Room
from services.media_server.store import sql
from services.media_server.told import Gone, GoneConsumer, GoneProducer, GoneTransport, Told


class Record:
    """An open transaction about one meeting at one epoch."""

    def __init__(self, connection: asyncpg.Connection, server: MediaServerId, boot: BootId, of: Allocated) -> None:
        self._connection = connection
        self._of = (of.tenant, of.meeting, of.epoch)
        self._by = (server, boot)

    async def handled(self, call: Call, reply: Reply) -> None:
        """Write how the command is answered: the first insert, so that a repeat elsewhere stops here."""
        row = (call.command_id, call.body_hash, type(reply).__name__, as_json(reply).decode())
        await self._connection.execute(sql.INSERT_HANDLED, *row)

    async def allocation(self, room: Room) -> None:
        """Write the allocation; those of older epochs go, rows only."""
        await self._connection.execute(sql.DELETE_ALLOCATIONS, room.tenant, room.meeting, room.epoch - 1, *self._by)
        await self._connection.execute(
            sql.INSERT_ALLOCATION, *self._of, *self._by, room.router.worker.id, room.router.id
        )

    async def transport(self, transport: LiveTransport) -> None:
        await self._insert(sql.INSERT_TRANSPORT, transport.owner, transport.id, transport.direction.value)

    async def connected(self, transport: LiveTransport) -> None:
        """Keep that its peer is known: from here on this server misses a peer that does not come, or is gone."""
        await self._connection.execute(sql.CONNECT_TRANSPORT, transport.id)

    async def producer(self, producer: LiveProducer, app_data: AppData) -> None:
        media = producer.media
        parameters = dumps(media.rtp_parameters.as_json())
        row = (producer.id, producer.transport, media.kind.value, parameters, media.paused, dumps(app_data))
        await self._insert(sql.INSERT_PRODUCER, producer.owner, *row)

    async def consumer(self, consumer: LiveConsumer) -> None:
        media = consumer.media
        parameters = dumps(media.rtp_parameters.as_json())
        row = (consumer.id, consumer.transport, consumer.producer, media.kind.value, parameters, media.paused)
        await self._insert(sql.INSERT_CONSUMER, consumer.owner, *row)

    async def _insert(self, statement: str, owner: Owner, *row: object) -> None:
        await self._connection.execute(
            statement, *self._of, *self._by, owner.participant, owner.instance, owner.seat, *row
        )

    async def producer_paused(self, producer: LiveProducer, paused: bool) -> None:
        await self._connection.execute(sql.PAUSE_PRODUCER, producer.id, paused)

    async def consumer_paused(self, consumer: LiveConsumer, paused: bool) -> None:
        await self._connection.execute(sql.PAUSE_CONSUMER, consumer.id, paused)

    async def closed(self, closing: Closing) -> int:
        """Delete what closed and tell the meeting of each row that there was. Return how many events that made."""
        told = (await self.deleted(closing)).told()
        await self.told(*told)
        return len(told)

    async def told_closed(self) -> set[str]:
        """Return the ids of everything that the meeting was ever told to be closed."""
        return {row["id"] for row in await self._connection.fetch(sql.TOLD_CLOSED, *self._of[:2])}

    async def told_without_row(self) -> list[GoneProducer]:
        """Return the producers that the meeting was told of in this epoch and that have no row (any more), on whatever transport."""
        rows = await self._connection.fetch(sql.TOLD_WITHOUT_ROW, *self._of)
        return [GoneProducer(row["id"], row["participant"], TransportId("")) for row in rows]

    async def deleted(self, closing: Closing) -> Gone:
        """Delete the rows of what closed, with those that hang from them; return the rows that there were."""
        ids = (list(closing.transports), list(closing.producers), list(closing.consumers))
        consumers = await self._connection.fetch(sql.DELETE_CONSUMERS, *ids)
        producers = await self._connection.fetch(sql.DELETE_PRODUCERS, *ids[:2])
        transports = await self._connection.fetch(sql.DELETE_TRANSPORTS, ids[0]) if ids[0] else []
        return Gone(
            closing.because,
            [GoneTransport(row["id"], row["participant"], Direction(row["direction"])) for row in transports],
            [GoneProducer(*row) for row in producers],
            [GoneConsumer(*row) for row in consumers],
        )

    async def told(self, *told: Told) -> None:
        """Append events, in this order."""
        if told:
            types = [one.event.type for one in told]
            bodies = [one.event.model_dump_json(by_alias=True) for one in told]
            receivers: list[ParticipantId | None] = [one.to for one in told]
            await self._connection.execute(sql.APPEND_EVENTS, *self._of, types, bodies, receivers)
