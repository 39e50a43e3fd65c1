"""The deployment of a dry replay: private services, a kendra and media servers that forward nothing, for as long as it takes.

Everything is in a directory of its own below `.run/dry` and goes with it, also on Ctrl-C; what a killed one left is removed by the next.
Nothing happens there that no command asked for: seats without media are kept, and empty meetings.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import SOCK_DGRAM

from rich.console import Console

from contracts.create_meeting import CreateMeeting, MeetingCreated
from services.cli.recording.file import Recording
from services.cli.recording.plan import MEDIA
from services.cli.schema import migrate_database
from services.cli.stack.ports import ServicePorts, free_ports
from services.cli.stack.private import PrivateServices
from services.cli.stack.programs import check_programs
from services.cli.stack.rundir import PROJECT, RunDirectory, outside
from services.cli.stack.running import Running
from services.cli.stack.system import Frontend, MediaServer, System, processes

_BASE = PROJECT / ".run" / "dry"
_A_DAY = "86400"
_PATIENT = {"DOORDARSHAN_LEASE": "60"}
"""A machine that is busy is nobody's death here."""
_UNSWEPT = {f"DOORDARSHAN_{name}": _A_DAY for name in ("SEAT_UNUSED", "SEAT_LOST", "MEETING_EMPTY")}
_MOST_SERVERS = 4
_LEAST_CAPACITY = 1_024


@dataclass(frozen=True, slots=True)
class DryRun:
    """How large the deployment is."""

    servers: int
    capacity: int

    @classmethod
    def for_recordings(cls, recordings: Iterable[Recording], servers: int | None, capacity: int | None) -> "DryRun":
        """Return one with as many servers as were recorded, each with room for all recorded meetings at once.

        A meeting that was refused has room too, so that it takes none from others, unless it is larger than all that were not.
        """
        handled = [record for recording in recordings for record in recording.handled]
        seen = {record.process.partition(".")[0] for record in handled if record.service == MEDIA}
        asked = [
            (record, CreateMeeting.model_validate(record.command).capacity.streams)
            for record in handled
            if record.envelope.type == CreateMeeting.__name__
        ]
        largest = max((streams for record, streams in asked if record.reply_type == MeetingCreated.__name__), default=0)
        booked = sum(streams for _, streams in asked if streams <= largest)
        return cls(
            max(1, min(len(seen), _MOST_SERVERS)) if servers is None else servers,
            max(booked, _LEAST_CAPACITY) if capacity is None else capacity,
        )

    @asynccontextmanager
    async def running(self, progress: Console) -> AsyncIterator[str]:
        """Give the broker's URL for user `tool`. Raises CannotRun."""
        check_programs()
        _remove_leftovers()
        _BASE.mkdir(parents=True, exist_ok=True)
        run = RunDirectory(Path(tempfile.mkdtemp(dir=_BASE)))
        run.path.chmod(0o755)  # Postgres' own user comes down through it
        run.hold()
        async with AsyncExitStack() as stack:
            services = PrivateServices(run, ServicePorts.free(), durable=False, given={})
            stack.callback(_remove, run, services)
            stack.push_async_callback(services.stop)
            with progress.status("starting Postgres, RabbitMQ and Redis"):
                await services.start()
                await asyncio.to_thread(migrate_database, services.addresses("tool").postgres)
            running = Running(run, processes(self._system(run), services.addresses))
            stack.push_async_callback(running.stop_all)
            with progress.status("starting a kendra and media servers"):
                await running.start_all()
            yield services.addresses("tool").amqp

    def _system(self, run: RunDirectory) -> System:
        ports = iter(free_ports(1 + self.servers))
        media_ports = free_ports(self.servers, SOCK_DGRAM)
        silent = {
            "DOORDARSHAN_PLANE": "silent",
            "DOORDARSHAN_WORKERS": "1",
            "DOORDARSHAN_CAPACITY": str(self.capacity),
            **_PATIENT,
        }
        return System(
            gateways=[],
            kendras=[Frontend("kendra", next(ports), settings={**_UNSWEPT, **_PATIENT})],
            media_servers=[
                MediaServer(f"media-server-{number}", next(ports), port, silent)
                for number, port in enumerate(media_ports, 1)
            ],
            cluster_secret=run.secrets.get("cluster_secret"),
        )


def _remove(run: RunDirectory, services: PrivateServices) -> None:
    run.release()
    if services.postgres is not None and services.postgres.elsewhere is not None:
        shutil.rmtree(services.postgres.elsewhere.parent, ignore_errors=True)
    shutil.rmtree(run.path, ignore_errors=True)


def _remove_leftovers() -> None:
    """Remove what killed dry replays left behind; their processes died with them."""
    for path in _BASE.glob("*"):
        run = RunDirectory(path)
        if (path / "lock").exists() and run.holder() is None:
            shutil.rmtree(outside(path), ignore_errors=True)
            shutil.rmtree(path, ignore_errors=True)
