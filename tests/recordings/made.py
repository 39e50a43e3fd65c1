"""Recordings made by hand: what was told of a command, without anybody who was told it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

from contracts.actor import Actor
from contracts.handled import Envelope, Handled
from contracts.message import Message
from services.cli.recording.file import Recording, read

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
HERE = Path(__file__).parent


def handled(
    type_: str,
    reply: tuple[str, object] | str,
    *,
    at: float = 0.0,
    took: float = 0.01,
    meeting: str = "standup",
    command: object = None,
    actor: Actor | None = None,
    id_: UUID | None = None,
    within: Handled | None = None,
    epoch: int | None = None,
) -> Handled:
    """Return the record of a command that began `at` seconds and took so long. `reply` is (type, body) or a failure's code; `within` nests it."""
    reply_type, body = (
        reply if isinstance(reply, tuple) else ("Failure", {"code": reply, "reason": "…", "retryable": True})
    )
    trace = within.envelope.traceparent if within else f"00-{uuid4().hex}-{'1' * 16}-01"
    nested = uuid5(within.envelope.command_id, f"{type_}:{epoch}") if within else None
    envelope = Envelope(
        type=type_,
        command_id=id_ or nested or uuid4(),
        tenant="demo",
        meeting=meeting,
        epoch=epoch,
        actor=actor or Actor(),
        remaining_ms=4000,
        body_hash="0" * 64,
        traceparent=trace,
    )
    return Handled(
        number=1,
        service="media" if within or epoch is not None else "kendra",
        process="p",
        queue="q",
        at=BEGUN + timedelta(seconds=at + took),
        seconds=took,
        envelope=envelope,
        command={} if command is None else command,
        reply_type=reply_type,
        reply=body,
    )


def created(meeting: str = "standup", *, at: float = 0.0, repeated: bool = False, router: str = "router") -> Handled:
    """Return the record of a meeting's creation."""
    body = {
        "meetingId": meeting,
        "mediaServerId": "media-server-1",
        "routerId": router,
        "epoch": 1,
        "state": "placed",
        "repeated": repeated,
    }
    return handled("CreateMeeting", ("MeetingCreated", body), at=at, meeting=meeting)


def stored(flow: str) -> Recording:
    """Return the recording of a flow."""
    return read(HERE / f"{flow}.jsonl.zst")


def afresh(recording: Recording, meeting: str) -> Recording:
    """Return a recording as another call would have left it: its commands have new ids, and its meeting this one's."""
    (old,) = {one.envelope.meeting for one in recording.handled}
    ids = {str(one.envelope.command_id): str(uuid4()) for one in recording.handled if one.service == "kendra"}

    def again(line: Message) -> Any:
        text = line.model_dump_json(by_alias=True).replace(f'"{old}"', f'"{meeting}"')
        for was, now in ids.items():
            text = text.replace(was, now)
        return type(line).model_validate_json(text)

    handled_again = [again(one) for one in recording.handled]
    return replace(recording, handled=handled_again, states=[again(one) for one in recording.states])


def lines_of(recording: Recording) -> list[dict[str, Any]]:
    """Return a recording's lines again, to be changed."""
    written = [
        recording.header,
        *recording.handled,
        *recording.states,
        *([recording.footer] if recording.footer else []),
    ]
    return [line.model_dump(mode="json", by_alias=True) for line in written]


def write_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    """Write lines as a recording; return its path."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
