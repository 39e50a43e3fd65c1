"""Pairs of lasting participants on a media server of choice, for tests that take it from under them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

from services.cli.participant.api import Api
from services.cli.participant.lasting import LastingParticipant
from services.cli.participant.media import SIGNATURES
from services.testing.system import System


class Pair:
    """A meeting in which Ravi sees and hears Asha."""

    def __init__(self, asha: LastingParticipant, ravi: LastingParticipant) -> None:
        self.asha, self.ravi = asha, ravi
        self.people, self.meeting = (asha, ravi), asha.meeting

    def more(self, frames: int = 5) -> Callable[[], bool]:
        """Return whether so many new pictures and sounds came since now."""
        seen = self.ravi.seen["asha"].frames
        wanted = {kind: seen[kind] + frames for kind in ("video", "audio")}
        return lambda: all(seen[kind] >= least for kind, least in wanted.items())


@asynccontextmanager
async def pairs(system: System, number: int, on: str) -> AsyncIterator[list[Pair]]:
    """Have so many pairs meet on one media server, by having the others get no meetings while they do."""
    async with AsyncExitStack() as stack:
        api = Api(system.url, system.token())
        stack.push_async_callback(api.close)
        others = [name for name in system.servers if name != on]
        for name in others:
            await api.post(f"/v1/servers/{name}/drain")
        made = []
        for _ in range(number):
            meeting = f"m-{uuid4().hex[:10]}"
            await api.post("/v1/meetings", {"meetingId": meeting})
            stack.push_async_callback(api.delete, f"/v1/meetings/{meeting}")
            token = system.token(meeting=meeting, grants=("join", "produce", "consume"))
            people = []
            for name, signature in zip(("asha", "ravi"), SIGNATURES, strict=False):
                one = LastingParticipant(system.urls, token, meeting, name, signature)
                stack.push_async_callback(one.close)
                await one.join()
                await one.connect()
                people.append(one)
            await people[0].produce()
            made.append(Pair(*people))
        for name in others:
            await api.delete(f"/v1/servers/{name}/drain")
        for pair in made:
            await pair.ravi.until(pair.more(), 20)
        yield made


async def where(system: System, pair: Pair) -> tuple[str, int]:
    """Return on which server a meeting is wanted, and its epoch."""
    row = await system.postgres.fetchrow("select server, epoch from meetings where meeting = $1", pair.meeting)
    return row["server"], row["epoch"]


async def seats(system: System, pair: Pair) -> list[tuple[str, str, int]]:
    """Return who sits in a meeting: participant, instance and seat."""
    sql = "select participant, instance, seat from participants where meeting = $1 and left_at is null order by seat"
    return [tuple(row) for row in await system.postgres.fetch(sql, pair.meeting)]


async def log(system: System, pair: Pair) -> list[tuple[str, int]]:
    """Return the meeting's log: types and epochs."""
    sql = "select type, epoch from events where meeting = $1 order by sequence"
    return [tuple(row) for row in await system.postgres.fetch(sql, pair.meeting)]


async def moved_after(system: System, pair: Pair, killed: float) -> float:
    """Return how long after the (wall clock) time of a kill the meeting was moved."""
    sql = "select extract(epoch from at)::float8 from events where meeting = $1 and type = 'MeetingMoved'"
    return float(await system.postgres.fetchval(sql, pair.meeting)) - killed


async def seen_again(pair: Pair) -> None:
    """Wait until both have heard of the move and what was sent comes again."""
    for one in pair.people:
        await one.until(lambda one=one: bool(one.moves), 15)  # type: ignore[misc]
    await pair.ravi.until(pair.more(), 20)
