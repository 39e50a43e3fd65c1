"""`doordarshan record FILE`: write down what passes over the bus, until Ctrl-C."""

import asyncio
import time
from pathlib import Path

from rich.console import Console
from rich.status import Status

from contracts.ids import MeetingId, TenantId
from services.cli.cluster import checked_id
from services.cli.recording.broker import broker_url, keep_client_quiet
from services.cli.recording.file import Writer
from services.cli.recording.recorder import Counts, Filters, Recorder
from services.cli.recording.signals import on_signal
from services.cli.stack.errors import CannotRun

_FLUSH_SECONDS = 1.0
_TOLD_SECONDS = 10.0


def record(
    file: Path, /, *, meeting: list[str] | None = None, tenant: str | None = None, seconds: float | None = None
) -> None:
    """Record what services are told over the bus, and what they answer, until Ctrl-C.

    DOORDARSHAN_AMQP_URL (broker user `tool`) says where; without it the running `up` of this checkout is meant.

    Parameters
    ----------
    file
        A file that does not exist yet: JSON lines, compressed with zstd when its name ends in `.zst`.
    meeting
        Write only what is about this meeting; may be repeated.
    tenant
        Write only what is about meetings of this tenant.
    seconds
        End by itself after so long.
    """
    of_tenant = None if tenant is None else TenantId(checked_id("tenant", tenant))
    filters = Filters(of_tenant, tuple(MeetingId(checked_id("meeting", one)) for one in meeting or ()))
    keep_client_quiet()
    url, writer = broker_url(), Writer(file)
    try:
        asyncio.run(_record(Recorder(url, filters, writer), writer, seconds))
    except CannotRun:
        writer.abandon()
        raise


async def _record(recorder: Recorder, writer: Writer, seconds: float | None) -> None:
    console, begun = Console(highlight=False), time.monotonic()
    with on_signal(recorder.stop):
        try:
            await recorder.start()
            console.print(f"recording into {writer.path}; Ctrl-C ends it", soft_wrap=True)
            if seconds is not None:
                asyncio.get_running_loop().call_later(seconds, recorder.stop)
            with console.status("nothing yet") as status:
                await recorder.record(_Progress(console, status, writer).tell, _FLUSH_SECONDS)
                status.update("asking how the meetings are now")
                await recorder.finish()
            writer.close()
        finally:
            await recorder.close()
    _sum_up(console, recorder.counts, writer, time.monotonic() - begun)


class _Progress:
    """One line that changes on a terminal, a line each ten seconds elsewhere."""

    def __init__(self, console: Console, status: Status, writer: Writer) -> None:
        self._console, self._status, self._writer = console, status, writer
        self._begun = self._told = time.monotonic()
        self._away = False

    def tell(self, counts: Counts) -> None:
        """Show what was written so far."""
        now = time.monotonic()
        text = f"{now - self._begun:4.0f} s  {_counted(counts)}, {_size(self._writer.size)}"
        self._status.update(text)
        if counts.away is not self._away:
            self._away = counts.away
            self._console.print("the broker is away; waiting for it" if self._away else "the broker is back")
        if not self._console.is_terminal and now - self._told >= _TOLD_SECONDS:
            self._told = now
            self._console.print(text, soft_wrap=True)


def _counted(counts: Counts) -> str:
    holes = f"{counts.holes} holes ({counts.lost} records lost)" if counts.holes else "no holes"
    away = f", broker away {counts.interruptions} times" if counts.interruptions else ""
    return f"{counts.commands} commands, {len(counts.meetings)} meetings, {holes}{away}"


def _size(size: int) -> str:
    return f"{size / 1000:.1f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def _sum_up(console: Console, counts: Counts, writer: Writer, seconds: float) -> None:
    size = _size(writer.path.stat().st_size)
    console.print(f"{writer.path}: {_counted(counts)} in {seconds:.1f} s, {size}", soft_wrap=True)
    if counts.away:
        console.print(
            "It ended while the broker was away: what its meetings were in the end is not known.", soft_wrap=True
        )
    if counts.holes:
        console.print("It has holes: `replay --expect same` will refuse it.", soft_wrap=True)
