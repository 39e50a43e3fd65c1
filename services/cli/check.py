"""`doordarshan check`: prove a deployment. Two headless participants exchange opus and VP8 through it; each step is printed with its time.

Exits 0 when every step held; otherwise the last line says which did not, and why.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar, cast
from uuid import uuid4

from rich.console import Console

from services.cli.deployment import Deployment
from services.cli.participant.api import Api, ApiError, JsonObject
from services.cli.participant.media import SIGNATURES, is_picture_of
from services.cli.participant.participant import Participant, Received
from services.cli.participant.rtc import NoAddress, own_addresses
from services.cli.stack.errors import CannotRun

T = TypeVar("T")
PICTURES, SOUNDS = 20, 75
HERTZ_TOLERANCE = 12.0


class CheckFailed(Exception):
    """A step did not hold; the text says what was expected and what came."""


class Steps:
    """Prints each step when it is done, with its time in milliseconds."""

    def __init__(self, console: Console) -> None:
        self._console, self.current = console, "start"

    async def step(self, name: str, work: Awaitable[T]) -> T:
        """Do one step."""
        self.current, began = name, time.monotonic()
        result = await work
        self._console.print(f"[green]ok[/] {1000 * (time.monotonic() - began):7.0f} ms  {name}", soft_wrap=True)
        return result

    def tell(self, text: str) -> None:
        """Say what was received."""
        self._console.print(f"               {text}", style="dim", highlight=False, soft_wrap=True)


async def prove(deployment: Deployment, seconds: float) -> None:
    """Run all steps. Raises CheckFailed."""
    steps = Steps(Console())
    try:
        addresses = await steps.step("find an address to send media from", own_addresses())
        steps.tell(", ".join(addresses))
        await _meet(steps, deployment, seconds)
    except (ApiError, CheckFailed, NoAddress, TimeoutError, OSError) as error:
        raise CheckFailed(f"{steps.current}: {str(error) or 'no answer in time'}") from error


async def _meet(steps: Steps, deployment: Deployment, seconds: float) -> None:
    meeting = f"check-{uuid4().hex[:12]}"
    token = deployment.token(meeting, ("create", "join", "produce", "consume", "admin"))
    admin = Api(deployment.url, token, verify=deployment.verify)
    capacity: JsonObject = {"participants": 2, "producers": 4}
    try:
        created = await steps.step(
            "create meeting", admin.post("/v1/meetings", {"meetingId": meeting, "capacity": capacity})
        )
        steps.tell(f"{meeting} on media server {created['mediaServerId']}, router {created['routerId']}")
        pair = [
            Participant(deployment.url, token, meeting, name, signature, verify=deployment.verify)
            for name, signature in zip(("alice", "bob"), SIGNATURES, strict=False)
        ]
        try:
            await _call(steps, pair, seconds)
            await steps.step("end meeting", admin.delete(f"/v1/meetings/{meeting}"))
        except BaseException:
            with suppress(ApiError):
                await admin.delete(f"/v1/meetings/{meeting}")
            raise
        finally:
            await asyncio.gather(*(one.close() for one in pair), return_exceptions=True)
    finally:
        await admin.close()


async def _call(steps: Steps, pair: list[Participant], seconds: float) -> None:
    for one in pair:
        await steps.step(f"{one.name} joins", one.join())
    for one in pair:
        await steps.step(f"{one.name} makes and connects both transports (ICE, DTLS)", one.connect())
    for one in pair:
        await steps.step(f"{one.name} produces opus and VP8", one.produce())
    for one, other in _others(pair):
        await steps.step(f"{one.name} hears of both as ProducerCreated", one.until(_told_of(one, other), 5))
    for one, other in _others(pair):
        for producer in other.sending:
            await steps.step(f"{one.name} consumes {other.name}'s {producer[:8]}", one.consume(producer))
    await steps.step(f"pictures and tones flow for {seconds:g} s", asyncio.sleep(seconds))
    for one, other in _others(pair):
        await steps.step(f"{one.name} sees and hears {other.name}", _recognise(steps, one, other))
    for one, other in _others(pair):
        await steps.step(f"the server's counters agree for {other.name} → {one.name}", _compare(steps, one, other))
    for one in pair:
        await steps.step(f"{one.name} leaves", one.leave())


def _others(pair: list[Participant]) -> list[tuple[Participant, Participant]]:
    return [(pair[0], pair[1]), (pair[1], pair[0])]


def _told_of(one: Participant, other: Participant) -> Callable[[], bool]:
    def told() -> bool:
        created = {event.body.get("producerId") for event in one.events if event.type == "ProducerCreated"}
        return set(other.sending) <= created

    return told


async def _recognise(steps: Steps, one: Participant, other: Participant) -> None:
    got = {received.kind: received for producer, received in one.received.items() if producer in other.sending}
    video, audio = got["video"], got["audio"]

    def enough() -> bool:
        return video.frames >= PICTURES and audio.frames >= SOUNDS

    try:
        await one.until(enough, 10)
    except TimeoutError:
        raise CheckFailed(f"only {video.frames} pictures and {audio.frames} sounds came") from None
    steps.tell(_heard_and_seen(video, audio))
    if not is_picture_of(other.signature, video.yuv):
        raise CheckFailed(f"the picture has YUV {video.yuv}, {other.name} sent {other.signature.yuv}")
    if len(video.counts) < PICTURES:
        raise CheckFailed(f"only {len(video.counts)} different pictures came")
    if abs(audio.hertz - other.signature.hertz) > HERTZ_TOLERANCE:
        raise CheckFailed(f"the tone has {audio.hertz:.0f} Hz, {other.name} sent {other.signature.hertz} Hz")


def _heard_and_seen(video: Received, audio: Received) -> str:
    width, height = video.size
    return (
        f"{video.frames} pictures {width}x{height} with YUV {video.yuv}, {len(video.counts)} different; "
        f"{audio.frames} sounds of 20 ms, tone {audio.hertz:.0f} Hz"
    )


async def _compare(steps: Steps, one: Participant, other: Participant) -> None:
    """Hold what was sent, what the server took in, what it sent on and what came against each other: nothing may be missing."""
    for producer, sending in other.sending.items():
        sent = await sending.packets_sent()
        taken = _packets(await other.api.stats(f"{other.mine}/producers/{producer}"), "inbound-rtp")
        received = one.received[producer]
        decoded = received.frames  # before the server is asked, for packets go on coming
        forwarded = _packets(await one.api.stats(f"{one.mine}/consumers/{received.consumer_id}"), "outbound-rtp")
        steps.tell(f"{received.kind}: {sent} sent, {taken} taken in, {forwarded} forwarded, {decoded} decoded")
        if taken < sent * 0.95:
            raise CheckFailed(f"{received.kind}: {sent} packets sent but only {taken} counted by the server")
        if not 0 < decoded <= forwarded:
            raise CheckFailed(f"{received.kind}: {decoded} decoded but only {forwarded} forwarded")
    forwarded, came = await _counted(one)
    if came < forwarded * 0.95:
        raise CheckFailed(f"the server forwarded {forwarded} packets to {one.name}, only {came} came")


async def _counted(one: Participant) -> tuple[int, int]:
    """Return what the server says it forwarded to a participant, and then what came, in packets."""
    assert one.recv_transport is not None
    answers = [await one.api.stats(f"{one.mine}/consumers/{got.consumer_id}") for got in one.received.values()]
    return sum(_packets(answer, "outbound-rtp") for answer in answers), await one.recv_transport.packets_received()


def _packets(stats: list[JsonObject], of: str) -> int:
    return sum(cast(int, one["packetCount"]) for one in stats if one["type"] == of)


def check(
    *,
    url: str | None = None,
    key: str | None = None,
    secret: str | None = None,
    seconds: float = 4.0,
    insecure: bool = False,
) -> None:
    """Prove a deployment: two headless participants exchange opus and VP8 through it.

    Parameters
    ----------
    url
        The gateway, such as https://meet.example.org. By default the `up` of this checkout, or DOORDARSHAN_URL.
    key
        The id of an API key that may create, join, produce, consume and admin. Else DOORDARSHAN_KEY, or the `up`'s own.
    secret
        That key's secret. Else DOORDARSHAN_SECRET.
    seconds
        How long media flows.
    insecure
        Accept a certificate that nobody vouches for.
    """
    deployment = Deployment.find(url, key, secret, verify=not insecure)
    began = time.monotonic()
    try:
        asyncio.run(prove(deployment, seconds))
    except CheckFailed as failed:
        raise CannotRun(f"check failed at: {failed}") from None
    print(f"All is well: {deployment.url} carries meetings ({time.monotonic() - began:.1f} s).")
