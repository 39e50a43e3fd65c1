"""Repairs of what the reconciler found, each in its meeting's line. Rows decide, memory follows, and the meeting is told.

What memory and rows do not have in common is closed on both sides: nobody can tell any more what it was meant to be. A router that
cannot go on is lost, and its meeting moves.
"""

from collections.abc import Callable, Sequence

from contracts.events import ClosedBecause
from contracts.failure import MeetingNotFound, StaleEpoch
from contracts.ids import ConsumerId, ProducerId, RouterId, TransportId
from services.media_server.drift import Drift, Finding
from services.media_server.registry import Registry
from services.media_server.room import Closing, Room
from services.media_server.store import Allocated, Store
from services.media_server.told import Gone, GoneConsumer, GoneProducer, GoneTransport
from sfu.consumer import Consumer
from sfu.producer import Producer

BECAUSE: ClosedBecause = "closed"


class Repairs:
    """`told` is called once a meeting's log has events, `lost` once a router is to be told of as lost."""

    def __init__(
        self, registry: Registry, store: Store, *, told: Callable[[Allocated], None], lost: Callable[[], None]
    ) -> None:
        self._registry, self._store = registry, store
        self._told, self._lost = told, lost

    async def router(self, of: Allocated, finding: Finding) -> None:
        """Close a router that is not wanted, rows and all; have the meeting moved away from one that cannot go on."""
        key = (of.tenant, of.meeting)
        if finding.drift is Drift.ROUTER_NOT_WANTED:
            self._registry.close(key, below=of.epoch + 1)
            await self._store.forget(of)
        elif (room := self._registry.rooms.get(key)) is not None and room.epoch == of.epoch:
            self._registry.lose(room)
            self._lost()
        else:
            self._registry.miss(key, of.epoch, RouterId(finding.id))
            self._lost()

    async def objects(self, room: Room, findings: Sequence[Finding]) -> None:
        """Close what only one side has, and pause and resume as the rows say."""
        self._follow_rows(room, findings)
        one_sided = {finding.id for finding in findings if not finding.drift.endswith("_paused")}
        _close_unknown(room, one_sided)
        if one_sided:
            await self._close(room, one_sided)

    def _follow_rows(self, room: Room, findings: Sequence[Finding]) -> None:
        for finding in findings:
            media: Producer | Consumer | None = None
            if finding.drift is Drift.PRODUCER_PAUSED:
                media = room.producers[ProducerId(finding.id)].media
            elif finding.drift is Drift.CONSUMER_PAUSED:
                media = room.consumers[ConsumerId(finding.id)].media
            if media is not None and media.paused:
                media.resume()
            elif media is not None:
                media.pause()

    async def _close(self, room: Room, ids: set[str]) -> None:
        """Delete rows and close in memory; tell of everything that the meeting was not told of before."""
        named = (tuple(map(TransportId, ids)), tuple(map(ProducerId, ids)), tuple(map(ConsumerId, ids)))
        hanging = room.hanging_from(BECAUSE, transports=named[0], producers=named[1], consumers=named[2])
        memory = _in_memory(room, hanging)
        told = 0
        try:
            async with self._store.writing(room.of) as record:
                deleted = await record.deleted(_with(hanging, ids))
                gone = _together(Gone(BECAUSE, [], await record.told_without_row(), []), memory, deleted)
                events = _without(gone, await record.told_closed()).told()
                await record.told(*events)
                told = len(events)
        except (StaleEpoch, MeetingNotFound):
            told = 0
        room.close(hanging)
        if told:
            self._told(room.of)


def _close_unknown(room: Room, ids: set[str]) -> None:
    """Close what only the library has."""
    for transport in list(room.router.transports.values()):
        for consumer in list(transport.consumers.values()):
            if consumer.id in ids and consumer.id not in room.consumers:
                consumer.close()
        for producer in list(transport.producers.values()):
            if producer.id in ids and producer.id not in room.producers:
                producer.close()
        if transport.id in ids and transport.id not in room.transports:
            transport.close()


def _with(closing: Closing, ids: set[str]) -> Closing:
    """Add ids that memory may not have; ids are never shared between nouns."""
    return Closing(
        closing.because,
        tuple({*closing.transports, *map(TransportId, ids)}),
        tuple({*closing.producers, *map(ProducerId, ids)}),
        tuple({*closing.consumers, *map(ConsumerId, ids)}),
    )


def _in_memory(room: Room, closing: Closing) -> Gone:
    transports = [room.transports[id] for id in closing.transports]
    producers = [room.producers[id] for id in closing.producers]
    consumers = [room.consumers[id] for id in closing.consumers]
    return Gone(
        closing.because,
        [GoneTransport(one.id, one.owner.participant, one.direction) for one in transports],
        [GoneProducer(one.id, one.owner.participant, one.transport) for one in producers],
        [GoneConsumer(one.id, one.owner.participant, one.producer, one.transport) for one in consumers],
    )


def _together(*gone: Gone) -> Gone:
    """Return all of them, each object once; who is named later knows it better."""
    return Gone(
        BECAUSE,
        list({one.id: one for each in gone for one in each.transports}.values()),
        list({one.id: one for each in gone for one in each.producers}.values()),
        list({one.id: one for each in gone for one in each.consumers}.values()),
    )


def _without(gone: Gone, told: set[str]) -> Gone:
    return Gone(
        gone.because,
        [one for one in gone.transports if one.id not in told],
        [one for one in gone.producers if one.id not in told],
        [one for one in gone.consumers if one.id not in told],
    )
