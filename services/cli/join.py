"""`doordarshan join MEETING`: a headless participant with a picture and a tone of its own, that says what it hears of whom.

It gets over whatever happens to the meeting by itself, as a browser does, and leaves in order.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Annotated, cast
from uuid import uuid4

from cyclopts import Parameter

from services.cli.cluster import checked_id
from services.cli.deployment import Deployment
from services.cli.hearing import Hearing
from services.cli.moments import seconds_of
from services.cli.participant.api import Api, ApiError, JsonObject
from services.cli.participant.lasting import LastingParticipant
from services.cli.participant.media import SIGNATURES
from services.cli.participant.participant import TRACKS
from services.cli.participant.rtc import NoAddress, own_addresses
from services.cli.recording.signals import on_signal
from services.cli.stack.errors import CannotRun

_EACH = 0.2
_GRANTS = ("create", "join", "produce", "consume")


def join(
    meeting: str,
    /,
    *,
    name: str | None = None,
    for_: Annotated[str | None, Parameter(name="--for")] = None,
    publish: str = "audio,video",
    create: bool = False,
    url: str | None = None,
    key: str | None = None,
    secret: str | None = None,
    insecure: bool = False,
) -> None:
    """Join a meeting without a browser: send a picture and a tone, and say what is heard and seen of whom.

    Ends with Ctrl-C, with the meeting, or after the time that `--for` says, and leaves in order. Exits 1 when it cannot join, or lost the seat.

    Parameters
    ----------
    meeting
        The meeting.
    name
        The participant's id; a new one unless said.
    for_
        How long to stay: 60s, 5m, 1h. Until Ctrl-C unless said.
    publish
        What to send: `audio`, `video`, both with a comma between them, or `none`.
    create
        Start the meeting first if it does not run.
    url
        The gateway, such as https://meet.example.org. By default the `up` of this checkout, or DOORDARSHAN_URL.
    key
        The id of an API key that may join, produce and consume. Else DOORDARSHAN_KEY, or the `up`'s own.
    secret
        That key's secret. Else DOORDARSHAN_SECRET.
    insecure
        Accept a certificate that nobody vouches for.
    """
    who = checked_id("participant", name or f"guest-{uuid4().hex[:6]}")
    seconds = None if for_ is None else seconds_of(for_)
    kinds = kinds_of(publish)
    deployment = Deployment.find(url, key, secret, verify=not insecure)
    visit = Visit(deployment, checked_id("meeting", meeting), who, kinds)
    asyncio.run(visit.run(seconds, create=create))


def kinds_of(publish: str) -> list[str]:
    """Return the kinds of media that `audio,video` names. Raises CannotRun."""
    kinds = [] if publish == "none" else [one.strip() for one in publish.split(",")]
    if not set(kinds) <= set(TRACKS):
        raise CannotRun(f"what to publish is audio, video, both with a comma between them, or none, not {publish!r}")
    return kinds


class Visit:
    """One participant's time in a meeting, told in lines with the seconds since it began."""

    def __init__(self, deployment: Deployment, meeting: str, name: str, kinds: Sequence[str]) -> None:
        self._deployment, self._meeting, self._kinds = deployment, meeting, kinds
        token = deployment.token(meeting, _GRANTS)
        signature = SIGNATURES[sum(name.encode()) % len(SIGNATURES)]
        self._one = LastingParticipant(deployment.url, token, meeting, name, signature, verify=deployment.verify)
        self._began = time.monotonic()

    async def run(self, seconds: float | None, *, create: bool) -> None:
        """Come, stay until a signal, the end of the time or of the meeting, and leave. Raises CannotRun."""
        told = asyncio.Event()
        with on_signal(told.set):
            try:
                await _unless(told, self._attend(seconds, create=create))
            finally:
                await self._go()

    async def _attend(self, seconds: float | None, *, create: bool) -> None:
        try:
            await own_addresses()
            if create:
                await self._create()
            await self._come()
        except (ApiError, NoAddress) as error:
            raise CannotRun(f"cannot join {self._meeting}: {error}") from None
        except TimeoutError:
            server = self._one.joined.get("mediaServerId")
            raise CannotRun(f"joined {self._meeting}, but no media passes between here and {server}") from None
        await self._stay(seconds)

    async def _create(self) -> None:
        """Make sure that the meeting runs; that it does so with other settings is as good."""
        api = Api(self._deployment.url, self._one.api.token, verify=self._deployment.verify)
        try:
            await api.post("/v1/meetings", {"meetingId": self._meeting})
        except ApiError as error:
            if error.code != "meeting_exists":
                raise
        finally:
            await api.close()

    async def _come(self) -> None:
        await self._one.join()
        there = [str(view["participantId"]) for view in cast(list[JsonObject], self._one.joined["participants"])]
        others = ", ".join(name for name in there if name != self._one.name) or "nobody else"
        self._say(f"{self._one.name} joined {self._meeting} (epoch {self._one.epoch}), with {others} there")
        await self._one.connect()
        if self._kinds:
            await self._one.produce(self._kinds)
            self._say(f"sends {' and '.join(self._kinds)}")

    async def _stay(self, seconds: float | None) -> None:
        until = None if seconds is None else time.monotonic() + seconds
        hearing = Hearing(self._one)
        while self._one.over is None and (until is None or time.monotonic() < until):
            for line in hearing.news(time.monotonic()):
                self._say(line)
            await asyncio.sleep(_EACH)

    async def _go(self) -> None:
        """Give up the seat, if there is one. Raises CannotRun when somebody else took it, or nobody heard of it."""
        over = self._one.over
        try:
            if self._one.joined and over is None:
                await self._one.api.post(f"{self._one.here}/leave")
                self._say(f"{self._one.name} left {self._meeting}")
            elif over == "meeting_not_found":
                self._say(f"{self._meeting} ended")
            elif over is not None:
                raise CannotRun(f"the seat of {self._one.name} in {self._meeting} is over: {over}")
        except ApiError as error:
            raise CannotRun(f"could not leave {self._meeting} in order: {error}; the seat ends by itself") from None
        finally:
            await self._one.close()

    def _say(self, line: str) -> None:
        print(f"{time.monotonic() - self._began:7.1f} s  {line}", flush=True)


async def _unless(told: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Do the work until it is done or somebody says that it is enough."""
    doing, enough = asyncio.ensure_future(work), asyncio.ensure_future(told.wait())
    await asyncio.wait({doing, enough}, return_when=asyncio.FIRST_COMPLETED)
    enough.cancel()
    if not doing.done():
        doing.cancel()
    with suppress(asyncio.CancelledError):
        await doing
