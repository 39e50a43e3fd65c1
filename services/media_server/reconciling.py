"""The reconciler: compares what this server has with its rows and with what meetings want, and repairs each difference.

At the start, whenever broker and database are there again, and each minute. A sweep reads everything once, without holding anybody
up; only a meeting that looks wrong is looked at again in its line, where no command is half done. So a finding is never a command
under way. What a meeting does not want any more is closed at each renewal; it is a finding only when it outlives several.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog

from contracts.failure import KendraError
from services.media_server.burial import bury
from services.media_server.drift import Drift, Finding, Kept, Written, of_meeting, of_objects
from services.media_server.lines import Key, Lines
from services.media_server.metrics import DRIFT, SWEEPS
from services.media_server.registry import Registry
from services.media_server.repairing import Repairs
from services.media_server.room import Room
from services.media_server.store import Allocated, Boots, Looking, NotRegistered, Wish
from sfu.worker import Worker

AT_ONCE = 50
"""So many meetings' objects are read in one statement."""
RENEWALS = 3.0
"""So many heartbeats something that is not wanted may last."""

log = structlog.stdlib.get_logger("media server")


@dataclass(frozen=True, slots=True)
class Around:
    """What a sweep looks at and works with. `pay` settles what a line owes."""

    registry: Registry
    workers: Sequence[Worker]
    lines: Lines
    looking: Looking
    boots: Boots
    repairs: Repairs
    pay: Callable[[Key], Awaitable[None]]


class Reconciler:
    """`each`, `heartbeat` and `lease` are seconds."""

    def __init__(self, around: Around, *, each: float, heartbeat: float, lease: float) -> None:
        self._in = around
        self._each, self._heartbeat, self._lease = each, heartbeat, lease
        self._wanted = asyncio.Event()

    def soon(self) -> None:
        """Sweep as soon as the last sweep is over."""
        self._wanted.set()

    async def keep(self) -> None:
        """Sweep for ever, or until this boot was buried."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._each):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.sweep()
            except NotRegistered:
                return
            except KendraError as error:
                log.warning("the reconciler did not come to an end", reason=error.reason)
            except Exception:
                log.exception("the reconciler broke")

    async def sweep(self) -> list[Finding]:
        """Compare everything once, and repair it; return what was found. Raises Unavailable.

        Raises NotRegistered when this boot was buried: then nothing here is wanted any more, and the process ends.
        """
        await self._in.boots.must_stand()
        found = self._unknown_routers() + await self._earlier_boots()
        not_wanted: list[Allocated] = []
        for of in await self._suspects():
            seen = await self._looked_at(of, patient=True)
            not_wanted += [of] if seen is None else []
            found += seen or []
        if not_wanted:
            await asyncio.sleep(RENEWALS * self._heartbeat)
        for of in not_wanted:
            found += await self._looked_at(of, patient=False) or []
        SWEEPS.inc()
        return found

    def _unknown_routers(self) -> list[Finding]:
        """Close routers of the library that no room has and that are not just being made."""
        registry = self._in.registry
        known = registry.making | {room.router.id for room in registry.rooms.values()}
        unknown = [
            router for worker in self._in.workers for router in worker.routers.values() if router.id not in known
        ]
        for router in unknown:
            router.close()
        return [_found(Drift.ROUTER_UNKNOWN, router.id) for router in unknown]

    async def _earlier_boots(self) -> list[Finding]:
        found = []
        for boot in await self._in.boots.forgotten():
            found.append(_found(Drift.EARLIER_BOOT, boot))
            await bury(self._in.boots, boot, self._lease)
        return found

    async def _suspects(self) -> list[Allocated]:
        """Return the meetings that look wrong, for what a glance is worth: commands are under way."""
        wishes = {wish.of: wish for wish in await self._in.looking.allocations()}
        registry = self._in.registry
        lost = [Allocated(one.tenant, one.meeting_id, one.epoch) for one in registry.lost.values()]
        every = list(dict.fromkeys([*wishes, *(room.of for room in registry.rooms.values()), *lost]))
        suspects = []
        for first in range(0, len(every), AT_ONCE):
            some = every[first : first + AT_ONCE]
            objects = await self._in.looking.objects(some)
            suspects += [of for of in some if self._looks_wrong(wishes.get(of, Wish(of)).with_rows(objects[of]), of)]
        return suspects

    def _looks_wrong(self, written: Written, of: Allocated) -> bool:
        room = self._room(of)
        kept = None if room is None else look(room)
        if of_meeting(kept, written, lost=self._lost(of)) or self._settled(of, written):
            return True
        return kept is not None and any(of_objects(kept, written))

    async def _looked_at(self, of: Allocated, *, patient: bool) -> list[Finding] | None:
        """Look at a meeting in its line and repair it. None: it is not wanted, and one is patient with that."""
        return await self._in.lines.put((of.tenant, of.meeting), partial(self._look_at, of, patient), always=True)

    async def _look_at(self, of: Allocated, patient: bool) -> list[Finding] | None:
        await self._in.pay((of.tenant, of.meeting))
        wish = await self._in.looking.wish(of)
        written = wish.with_rows((await self._in.looking.objects([of]))[of])
        room = self._room(of)
        kept = None if room is None else look(room)
        if self._settled(of, written):
            self._in.registry.close((of.tenant, of.meeting), below=of.epoch + 1)
            return []
        finding = of_meeting(kept, written, lost=self._lost(of))
        if finding is not None:
            if finding.drift is Drift.ROUTER_NOT_WANTED and patient:
                return None
            _log(finding, of)
            await self._in.repairs.router(of, finding)
            return [finding]
        if room is None or kept is None:
            return []
        closing = {id for one in room.unwritten for id in (*one.transports, *one.producers, *one.consumers)}
        findings = [finding for finding in of_objects(kept, written) if finding.id not in closing]
        for finding in findings:
            _log(finding, of)
        await self._in.repairs.objects(room, findings)
        return findings

    def _settled(self, of: Allocated, written: Written) -> bool:
        """Say whether a router is told of as lost that nobody misses any more, and that has no allocation to be cleaned."""
        return self._lost(of) and not written.wanted and written.router is None

    def _room(self, of: Allocated) -> Room | None:
        room = self._in.registry.rooms.get((of.tenant, of.meeting))
        return room if room is not None and room.epoch == of.epoch else None

    def _lost(self, of: Allocated) -> bool:
        lost = self._in.registry.lost.get((of.tenant, of.meeting))
        return lost is not None and lost.epoch == of.epoch


def look(room: Room) -> Kept:
    """Return what our lists and the library have of a room."""
    transports = room.router.transports
    return Kept(
        router=room.router.id,
        dead=room.router.closed,
        leaving=room.leaving,
        listed={
            "transport": dict.fromkeys(room.transports),
            "producer": {one.id: one.media.paused for one in room.producers.values()},
            "consumer": {one.id: one.media.paused for one in room.consumers.values()},
        },
        existing={
            "transport": set(transports),
            "producer": set(room.router.producers),
            "consumer": {id for transport in transports.values() for id in transport.consumers},
        },
    )


def _found(drift: Drift, id: str) -> Finding:
    finding = Finding(drift, id)
    _log(finding)
    return finding


def _log(finding: Finding, of: Allocated | None = None) -> None:
    """Count and say what was found; whatever it is, it should not be."""
    DRIFT.labels(finding.drift.value).inc()
    about = {} if of is None else {"tenant": of.tenant, "meeting": of.meeting, "epoch": of.epoch}
    log.error("drift", kind=finding.drift.value, id=finding.id, **about)
