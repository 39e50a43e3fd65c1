"""The people in the cluster: in each meeting one who stays and one who comes and goes; what they were answered and what they heard.

Each sends a tone of its own, one of them a picture too. A person is well whose calls are answered and who hears whom it should.
"""

import asyncio
import random
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from services.cli.participant.api import Api, ApiError
from services.cli.participant.media import Signature
from tests.chaos.cluster import Cluster
from tests.chaos.history import Attempt
from tests.chaos.person import Person
from tests.chaos.watched import Watched, WatchedApi

MEETINGS = 3
_PULSE, _LOOK, _STEADY = 0.3, 0.1, 1.0
_PATIENCE = 45.0
"""The longest that coming in or going out may take, whatever happens meanwhile; seconds."""


@dataclass
class Crowd:
    """Enter it to have everybody in; `go_home` has everybody leave, `come_in` has them come again."""

    cluster: Cluster
    chance: random.Random
    people: list[Person] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    read: dict[str, list[tuple[str, int | None]]] = field(default_factory=dict)
    """What each instance's stream brought: type and sequence, as it came."""
    frames: int = 0
    wrong: list[str] = field(default_factory=list)
    last_ill: float = 0.0
    last_why: str = ""
    _admins: dict[str, str] = field(default_factory=dict)
    """By meeting: a token that may do everything in it."""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _misheard: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """Orders that came to their end: acknowledged, or refused for good."""
        ended = (one for one in self.attempts if one.key and (one.acknowledged or 400 <= one.status < 500))
        return len({(one.path, one.key) for one in ended})

    async def __aenter__(self) -> "Crowd":
        other = self.cluster.system.make_tenant("other", "other-key")
        for number in range(MEETINGS):
            meeting, token_of = f"chaos-{number + 1}", self.cluster.system.token if number else other
            self._admins[meeting] = token_of(meeting=meeting)
            await self._create(meeting)
            for name in ("stays", "comes"):
                place = len(self.people)
                signature = Signature((60 + 25 * place, 110, 140), 400 + 170 * place)
                caller = f"{name}-{number + 1}"
                token = token_of(meeting=meeting, grants=["join", "produce", "consume"], sub=caller)
                kinds = ("audio", "video") if place == 0 else ("audio",)
                self.people.append(Person(meeting, caller, signature, token, kinds))
        await self.come_in()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()
        for person in self.people:
            await self._forget(person)

    async def well_again(self, within: float) -> float | None:
        """Wait until everybody is well and stays so for a moment; return when somebody was ill last (monotonic), None if never."""
        until = time.monotonic() + within + _STEADY
        while time.monotonic() < until:
            if time.monotonic() - self.last_ill > _STEADY:
                return self.last_ill
            await asyncio.sleep(_LOOK)
        return None

    async def come_in(self) -> None:
        """Have who stays come in, and the others begin to come and go."""
        await asyncio.gather(*(self._come(person) for person in self.people[::2]))
        self._start(*(self._come_and_go(person) for person in self.people[1::2]))
        self._start(*(self._pulse(person) for person in self.people))
        self._start(self._look())

    async def came_and_went(self, times: int) -> None:
        """Wait until each of those who come and go has done so that often."""
        async with asyncio.timeout(_PATIENCE * times):
            while min(person.visits for person in self.people[1::2]) < times:
                await asyncio.sleep(_LOOK)

    async def go_home(self) -> None:
        """Have everybody leave."""
        await self._stop()
        await asyncio.gather(*(self._patiently(person, self._go(person)) for person in self.people))

    async def begin_anew(self) -> None:
        """End the meetings and create them again: they are placed as if nothing had been."""
        for meeting, token in self._admins.items():
            api = Api(self.cluster.system.urls, token, budget=20.0)
            try:
                await api.delete(f"/v1/meetings/{meeting}")
            finally:
                await api.close()
            await self._create(meeting)

    async def _create(self, meeting: str) -> None:
        api = Api(self.cluster.system.urls, self._admins[meeting], budget=20.0)
        try:
            await api.post("/v1/meetings", {"meetingId": meeting, "capacity": {"participants": 4, "producers": 8}})
        finally:
            await api.close()

    async def _come_and_go(self, person: Person) -> None:
        while True:
            await self._patiently(person, self._come(person))
            await asyncio.sleep(self.chance.uniform(1.5, 4.0))
            crash = self.chance.random() < 0.2
            await (self._forget(person) if crash else self._patiently(person, self._go(person)))
            person.visits += 1
            await asyncio.sleep(self.chance.uniform(0.1, 0.5))

    async def _come(self, person: Person) -> None:
        urls = self.chance.sample(self.cluster.system.urls, len(self.cluster.system.urls))
        person.now = Watched(
            urls, person.token, person.meeting, person.name, person.signature, self.attempts, self.chance
        )
        person.answered = time.monotonic()
        await person.now.join()
        await person.now.connect()
        await person.now.send(person.kinds)
        person.inside_since = time.monotonic()

    async def _go(self, person: Person) -> None:
        person.inside_since = float("inf")
        if person.now is not None and person.now.over is None:
            with suppress(ApiError):
                await person.now.api.post(f"{person.now.here}/leave")
        await self._forget(person)

    async def _forget(self, person: Person) -> None:
        """Be gone without a word, as a browser that crashed."""
        person.inside_since = float("inf")
        if (gone := person.now) is None:
            return
        person.now = None
        self.read[f"{person.caller}/{gone.instance}"] = [(event.type, event.sequence) for event in gone.events]
        self.frames += sum(sum(seen.frames.values()) for seen in gone.seen.values())
        await gone.close()

    async def _patiently(self, person: Person, doing: Coroutine[None, None, None]) -> None:
        """Let what somebody does take its time, but end."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await doing
        except (ApiError, TimeoutError, ConnectionError) as error:
            self.wrong.append(f"{person.caller} could not come or go: {error!r}")
            await self._forget(person)

    async def _pulse(self, person: Person) -> None:
        """Have the participant's own media server answer something, again and again."""
        api = WatchedApi(self.cluster.system.urls, "", person.caller, self.attempts, budget=0.0)
        try:
            while True:
                await asyncio.sleep(_PULSE)
                await self._ask(person, api)
        finally:
            await api.close()

    async def _ask(self, person: Person, api: WatchedApi) -> None:
        """Note when the participant's own media server answered, if it has one."""
        if (now := person.now) is None or now.recv_transport is None or person.inside_since == float("inf"):
            person.answered = time.monotonic()
            return
        api.token = now.api.token
        with suppress(ApiError):
            began = time.monotonic()
            await api.stats(f"{now.mine}/transports/{now.recv_transport.id}")
            person.answered = began

    async def _look(self) -> None:
        """Note whenever somebody is ill, and what was heard from the wrong one."""
        while True:
            await asyncio.sleep(_LOOK)
            now = time.monotonic()
            for place, one in enumerate(self.people):
                other = self.people[place ^ 1]
                if why := one.ill(other, now):
                    self.last_ill, self.last_why = now, why
                self._listen(one, other)

    def _listen(self, one: Person, other: Person) -> None:
        """What is heard wrong for three seconds is somebody else's (I6)."""
        heard = one.misheard(other)
        times = self._misheard[one.caller, other.caller] = (
            0 if heard is None else self._misheard.get((one.caller, other.caller), 0) + 1
        )
        if times == 30:
            self.wrong.append(
                f"I6: {one.caller} hears {heard} Hz from {other.caller}, who sends {other.signature.hertz}"
            )

    def _start(self, *doings: Coroutine[None, None, None]) -> None:
        self._tasks += [asyncio.create_task(doing) for doing in doings]

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for failed in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(failed, Exception):
                self.wrong.append(f"the crowd itself broke: {failed!r}")
        self._tasks.clear()
