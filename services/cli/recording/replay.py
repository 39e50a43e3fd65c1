"""`doordarshan replay FILE…`: send recorded commands to another deployment, and say what comes out differently."""

import asyncio
import contextlib
import json as json_text
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

from rich.console import Console

from services.cli.recording.broker import broker_url, keep_client_quiet
from services.cli.recording.dry import DryRun
from services.cli.recording.file import Recording, read
from services.cli.recording.plan import KENDRA, MEDIA, Plan, plan_of
from services.cli.recording.replaying import Replaying
from services.cli.recording.report import Replayed, as_json, show
from services.cli.recording.sender import Sender
from services.cli.recording.signals import cancelled_by_signal
from services.cli.stack.errors import CannotRun


def replay(
    *files: Path,
    dry: bool = False,
    server: bool = False,
    speed: str | None = None,
    expect: Literal["same"] | None = None,
    json: bool = False,
    servers: int | None = None,
    capacity: int | None = None,
) -> None:
    """Send recorded commands to another deployment, each meeting's in their order, and show what comes out differently.

    DOORDARSHAN_AMQP_URL (broker user `tool`) names the deployment; without it the running `up` of this checkout is meant.

    Parameters
    ----------
    files
        Recordings, replayed one after the other.
    dry
        Replay on a private database, with real kendra and media server processes that forward no media; nothing is left of it.
    server
        Send the media servers' commands as well, not only kendra's.
    speed
        `original`, a number (2 is twice as fast) or `max`. By default original, with --dry max.
    expect
        `same`: exit 1 when something comes out differently, and refuse a recording with holes.
    json
        Print one JSON object, for machines.
    servers
        Media servers of a dry replay; by default as many as were recorded, at most 4.
    capacity
        Streams that each of these can be booked with; by default enough for all recorded meetings at once.
    """
    if not files:
        raise CannotRun("name a recording")
    keep_client_quiet()
    services = (KENDRA, MEDIA) if server else (KENDRA,)
    recordings = [read(path) for path in files]
    plans = [plan_of(one.handled, one.states, server=server) for one in recordings]
    if expect == "same":
        _check_whole(recordings, plans, services)
    pace = speed_of(speed or ("max" if dry else "original"))
    where = DryRun.for_recordings(recordings, servers, capacity) if dry else None
    work = _Work(list(zip(recordings, plans, strict=True)), services, pace, as_json=json)
    status = asyncio.run(cancelled_by_signal(work.run(where)))
    raise SystemExit(status if status > 1 or expect == "same" else 0)


def _check_whole(recordings: list[Recording], plans: list[Plan], services: tuple[str, ...]) -> None:
    for recording, plan in zip(recordings, plans, strict=True):
        if holes := recording.holes_of(services):
            raise CannotRun(f"{recording.path} has holes, so nothing can be expected of it: {'; '.join(holes)}")
        if not plan.steps:
            raise CannotRun(f"{recording.path} has nothing to replay: no meeting began in it")


def speed_of(text: str) -> float | None:
    """Return a factor of the original speed; None for as fast as it is answered. Raises CannotRun."""
    if text in {"original", "max"}:
        return 1.0 if text == "original" else None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < 1e6:
        raise CannotRun(f"--speed is `original`, `max` or a number above 0, not {text!r}")
    return speed


class _Work:
    """The replay of some recordings, on a deployment or on one that is made for it."""

    def __init__(
        self,
        recordings: list[tuple[Recording, Plan]],
        services: tuple[str, ...],
        speed: float | None,
        *,
        as_json: bool,
    ) -> None:
        self._recordings, self._services, self._speed, self._json = recordings, services, speed, as_json
        self._console = Console(highlight=False)
        self._progress = Console(highlight=False, stderr=True)

    async def run(self, where: DryRun | None) -> int:
        """Replay them one after the other; return 1 when something differs, else 0."""
        async with self._sender(where) as sender:
            replayed = [await self._replay(sender, *one) for one in self._recordings]
        if self._json:
            print(
                json_text.dumps(
                    {"same": all(one.same for one in replayed), "recordings": [as_json(one) for one in replayed]}
                )
            )
        return 0 if all(one.same for one in replayed) else 1

    @contextlib.asynccontextmanager
    async def _sender(self, where: DryRun | None) -> AsyncIterator[Sender]:
        async with contextlib.AsyncExitStack() as stack:
            url = broker_url() if where is None else await stack.enter_async_context(where.running(self._progress))
            sender = Sender(url, f"replay-{secrets.token_hex(6)}")
            stack.push_async_callback(sender.stop)
            await sender.start()
            if not await sender.servers():
                raise CannotRun("no media server lives there")
            yield sender

    async def _replay(self, sender: Sender, recording: Recording, plan: Plan) -> Replayed:
        begun, sent = time.monotonic(), 0
        with self._progress.status(f"{recording.path}: {plan.steps} commands") as status:

            def tell() -> None:
                nonlocal sent
                sent += 1
                status.update(f"{recording.path}: {sent} of {plan.steps} commands")

            lines = await Replaying(sender, self._speed, tell).run(plan)
        holes = recording.holes_of(self._services)
        replayed = Replayed(recording, plan, lines, holes, time.monotonic() - begun)
        if not self._json:
            show(self._console, replayed)
        return replayed
