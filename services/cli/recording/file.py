"""A recording as a file: written line by line, zstd when its name ends in `.zst`, and read back as a whole.

What was written is readable up to the last flush, however the recorder ended. A recording is never overwritten, and nobody but its
owner may read it: it has no passwords or tokens, but names.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import zstandard
from pydantic import JsonValue, ValidationError

from contracts.handled import Handled
from contracts.message import Message
from services.bus.envelope import what_is_wrong
from services.cli.recording.lines import FORMAT, LINES, EndState, Footer, Header, Hole, Interruption
from services.cli.stack.errors import CannotRun

COMPRESSED = ".zst"


class Writer:
    """Appends lines to a new file. Raises CannotRun when the file cannot be made or written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_file() and path.stat().st_size:
            raise CannotRun(f"{path} exists already; a recording is never overwritten")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            raise CannotRun(f"cannot write {path}: {error.strerror}") from None
        self._file = os.fdopen(descriptor, "wb")
        self._out: zstandard.ZstdCompressionWriter | BinaryIO = self._file
        if path.suffix == COMPRESSED:
            self._out = zstandard.ZstdCompressor().stream_writer(self._file, closefd=False)
        self.lines = 0

    @property
    def size(self) -> int:
        """Bytes in the file; what waits for the next flush is not counted."""
        return self._file.tell()

    def write(self, line: Message) -> None:
        """Append a line of the recording's own."""
        self.write_json(line.model_dump(mode="json", by_alias=True))

    def write_json(self, line: JsonValue) -> None:
        """Append a line."""
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        try:
            self._out.write(text.encode() + b"\n")
        except OSError as error:
            raise self._full(error) from None
        self.lines += 1

    def flush(self) -> None:
        """Have everything so far in the file."""
        try:
            if isinstance(self._out, zstandard.ZstdCompressionWriter):
                self._out.flush(zstandard.FLUSH_BLOCK)
            self._file.flush()
        except OSError as error:
            raise self._full(error) from None

    def close(self) -> None:
        """End the file."""
        try:
            if isinstance(self._out, zstandard.ZstdCompressionWriter):
                self._out.flush(zstandard.FLUSH_FRAME)
            self._file.close()
        except OSError as error:
            raise self._full(error) from None

    def abandon(self) -> None:
        """Let go of a file that cannot be written any more, or that nothing was recorded into: then it goes."""
        with suppress(OSError):
            self._file.close()
        if self.lines <= 1 and self.path.is_file():
            self.path.unlink()

    def _full(self, error: OSError) -> CannotRun:
        return CannotRun(f"cannot write {self.path} any more: {error.strerror}; it ends after about {self.lines} lines")


@dataclass(slots=True)
class Recording:
    """A recording that was read. `cut`: its last line is not whole, as a killed recorder leaves it."""

    path: Path
    header: Header
    handled: list[Handled] = field(default_factory=list)
    holes: list[Hole] = field(default_factory=list)
    interruptions: list[Interruption] = field(default_factory=list)
    states: list[EndState] = field(default_factory=list)
    footer: Footer | None = None
    cut: bool = False

    def holes_of(self, services: tuple[str, ...]) -> list[str]:
        """Return what keeps the recording of these services from being whole, a line each."""
        found = [
            f"{hole.lost} records of {hole.service} {hole.process} after number {hole.after} were lost"
            for hole in self.holes
            if hole.service in services
        ]
        if self.footer is None:
            found.append("it ends without a footer: its recorder did not stop in order")
        else:
            silent = [who for who in self.footer.unheard if who.partition(" ")[0] in services]
            found += [f"{who} was not heard again after the broker was away" for who in silent]
        return found


def read(path: Path) -> Recording:
    """Return a recording. Raises CannotRun: no such file, not a recording, another format, a line that does not parse."""
    recording: Recording | None = None
    try:
        for number, line in enumerate(_lines(path), 1):
            whole = line.endswith(b"\n")
            try:
                entry = _entry(line)
            except (ValueError, ValidationError) as error:
                if not whole and recording is not None:
                    recording.cut = True
                    break
                why = what_is_wrong(error) if isinstance(error, ValidationError) else str(error)
                raise CannotRun(f"{path} line {number} is no line of a recording: {why}") from None
            recording = _taken(path, recording, entry)
    except OSError as error:
        raise CannotRun(f"cannot read {path}: {error.strerror}") from None
    except zstandard.ZstdError as error:
        raise CannotRun(f"cannot read {path}: {error}") from None
    if recording is None:
        raise CannotRun(f"{path} is empty")
    return recording


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        if path.suffix != COMPRESSED:
            yield from file
            return
        rest = b""
        with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as plain:
            while chunk := plain.read(1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line + b"\n" for line in lines)
        if rest:
            yield rest


def _entry(line: bytes) -> Message:
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    kind = LINES[found["kind"]] if found.get("kind") in LINES else Handled
    return kind.model_validate(found)


def _taken(path: Path, recording: Recording | None, entry: Message) -> Recording:
    if recording is None:
        if not isinstance(entry, Header):
            raise CannotRun(f"{path} does not begin with a header: it is no recording")
        if entry.format != FORMAT:
            raise CannotRun(f"{path} has format {entry.format}; this program reads format {FORMAT}")
        return Recording(path, entry)
    match entry:
        case Handled():
            recording.handled.append(entry)
        case Hole():
            recording.holes.append(entry)
        case Interruption():
            recording.interruptions.append(entry)
        case EndState():
            recording.states.append(entry)
        case Footer():
            recording.footer = entry
        case _:
            raise CannotRun(f"{path} has a second header: two recordings in one file")
    return recording
