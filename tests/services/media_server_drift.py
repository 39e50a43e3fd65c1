"""Ways to bring a live media server's lists, its library and its rows apart, one for each kind of drift."""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

from contracts.create_meeting import AllocateRouter
from contracts.ids import RouterId
from contracts.meeting import Capacity
from services.media_server.drift import Drift
from services.media_server.main import MediaServer
from services.media_server.room import Room
from tests.services.media_server_peers import SERVER, TENANT, Meeting, Stage

_numbers = itertools.count(1)


@dataclass
class Scene:
    """A meeting of three on a server: alice sends twice, bob and carol receive."""

    stage: Stage
    server: MediaServer
    meeting: Meeting

    @property
    def room(self) -> Room | None:
        """The meeting's room, if the server has it in its lists."""
        return self.server.world.registry.rooms.get((TENANT, self.meeting.id))

    async def delete(self, table: str, id: str) -> None:
        """Delete a row behind the server's back."""
        await self.stage.rows.execute(f"delete from {table} where id = $1", id)  # noqa: S608


async def scene(stage: Stage, server: MediaServer) -> Scene:
    """Make a meeting with everything in it."""
    meeting = await stage.meeting(server)
    sending = await meeting.transport("send")
    producers = [await meeting.produce(sending.id, number=number) for number in range(2)]
    for seat, who in ((2, "bob"), (3, "carol")):
        await meeting.transport("recv", who, seat)
        for producer in producers:
            await meeting.consume(producer, who, seat)
    return Scene(stage, server, meeting)


Injection = Callable[[Scene, int], Awaitable[str]]
"""Injects one drift, into whichever object the number chooses; returns the id that is to be found."""


async def _router_without_row(on: Scene, _: int) -> str:
    await on.stage.rows.execute("delete from allocations where meeting = $1", on.meeting.id)
    assert on.room
    return on.room.router.id


async def _row_without_router(on: Scene, _: int) -> str:
    room = on.server.world.registry.rooms.pop((TENANT, on.meeting.id))
    room.router.close()
    return room.router.id


async def _router_not_wanted(on: Scene, _: int) -> str:
    found = await _router_without_row(on, 0)
    await on.meeting.wants(None)
    return found


async def _router_dead(on: Scene, _: int) -> str:
    assert on.room
    on.room.router.close()
    return on.room.router.id


async def _router_unknown(on: Scene, _: int) -> str:
    return on.server.world.workers[0].create_router(RouterId(uuid4().hex)).id


async def _earlier_boot(on: Scene, _: int) -> str:
    number = next(_numbers)
    boot = f"earlier-{number}"
    await on.stage.rows.execute(
        """insert into media_servers (server, boot, address, capacity, started_at) values ($1, $2, '', 1, now() - interval '1 hour')""",
        SERVER,
        boot,
    )
    await on.stage.rows.execute(
        """insert into allocations (tenant, meeting, epoch, server, boot, worker, router) values ($1, $2, $5, $3, $4, 'w', $4)""",
        TENANT,
        on.meeting.id,
        SERVER,
        boot,
        -number,
    )
    return boot


def _without_row(noun: str) -> Injection:
    async def inject(on: Scene, which: int) -> str:
        id = _one(on, noun, which)
        await on.delete(f"{noun}s", id)
        return id

    return inject


def _row_without(noun: str) -> Injection:
    async def inject(on: Scene, which: int) -> str:
        id = _one(on, noun, which)
        assert on.room
        on.room.close(on.room.hanging_from("closed", **{f"{noun}s": (id,)}))
        return id

    return inject


def _dead(noun: str) -> Injection:
    async def inject(on: Scene, which: int) -> str:
        id = _one(on, noun, which)
        getattr(on.room, f"{noun}s")[id].media.close()
        return id

    return inject


def _unknown(noun: str) -> Injection:
    async def inject(on: Scene, which: int) -> str:
        id = _one(on, noun, which)
        del getattr(on.room, f"{noun}s")[id]
        return id

    return inject


def _paused(noun: str) -> Injection:
    async def inject(on: Scene, which: int) -> str:
        id = _one(on, noun, which)
        media = getattr(on.room, f"{noun}s")[id].media
        media.resume() if media.paused else media.pause()
        return id

    return inject


def _one(on: Scene, noun: str, which: int) -> str:
    ids = sorted(getattr(on.room, f"{noun}s"))
    return ids[which % len(ids)]


INJECTIONS: dict[Drift, Injection] = {
    Drift.ROUTER_WITHOUT_ROW: _router_without_row,
    Drift.ROW_WITHOUT_ROUTER: _row_without_router,
    Drift.ROUTER_NOT_WANTED: _router_not_wanted,
    Drift.ROUTER_DEAD: _router_dead,
    Drift.ROUTER_UNKNOWN: _router_unknown,
    Drift.EARLIER_BOOT: _earlier_boot,
    **{Drift(f"{noun}_without_row"): _without_row(noun) for noun in ("transport", "producer", "consumer")},
    **{Drift(f"row_without_{noun}"): _row_without(noun) for noun in ("transport", "producer", "consumer")},
    **{Drift(f"{noun}_dead"): _dead(noun) for noun in ("transport", "producer", "consumer")},
    **{Drift(f"{noun}_unknown"): _unknown(noun) for noun in ("transport", "producer", "consumer")},
    **{Drift(f"{noun}_paused"): _paused(noun) for noun in ("producer", "consumer")},
}


async def moved_where_lost(on: Scene) -> None:
    """Move the meeting as kendra does when its router is lost."""
    if (TENANT, on.meeting.id) in on.server.world.registry.lost:
        await on.meeting.wants(on.server)
        await on.meeting.ask(AllocateRouter(capacity=Capacity(participants=80, producers=20)), None)
