"""How a meeting's past is shown: to people as a table with what happened around it, to programs as one JSON object in `GetMeeting`'s names."""

import json
from collections.abc import Iterable

from pydantic import JsonValue
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from contracts.meeting import MeetingState
from services.cli.history.past import Entry, Past
from services.cli.moments import lasting, shown
from services.kendra.meeting import Meeting, Producer

_TOLD = ("participantId", "displayName", "kind", "producerId", "consumerId", "transportId", "mediaServerId", "reason")
"""What of an event's body a line of the log shows."""


def show(past: Past, console: Console) -> None:
    """Print it for people."""
    meeting = past.meeting
    head = f"[bold]{past.meeting_id}[/] of {past.tenant} at {shown(past.at)}{_since(past)}\n{_where(meeting)}"
    console.print(head, highlight=False, soft_wrap=True)
    if meeting.participants:
        console.print(_people(meeting))
    elif not meeting.ended:
        console.print("nobody is there")
    for title, entries in (("before", past.before), ("after", past.after)):
        if entries:
            console.print(f"\n[bold]{title}[/]")
            console.print(_log(entries))


def as_json(past: Past) -> str:
    """Return it for programs."""
    meeting = past.meeting
    participants: list[JsonValue] = [
        {"participantId": id, "displayName": one.display_name, "seat": one.seat}
        for id, one in meeting.participants.items()
    ]
    producers: list[JsonValue] = [
        {
            "id": id,
            "participantId": one.participant,
            "kind": one.kind,
            "paused": one.paused,
            "appData": one.app_data,
        }
        for id, one in meeting.producers.items()
    ]
    found: dict[str, JsonValue] = {
        "tenant": past.tenant,
        "meetingId": past.meeting_id,
        "at": past.at.isoformat(),
        "lastEventId": meeting.sequence,
        "state": state(meeting).value,
        "epoch": meeting.epoch,
        "mediaServerId": meeting.server,
        "capacity": None if meeting.capacity is None else meeting.capacity.model_dump(by_alias=True),
        "participants": participants,
        "producers": producers,
        "before": [_event(entry) for entry in past.before],
        "after": [_event(entry) for entry in past.after],
    }
    return json.dumps(found, indent=2)


def state(meeting: Meeting) -> MeetingState:
    """Return the word for it."""
    if meeting.ended:
        return MeetingState.ENDED
    return MeetingState.UNPLACED if meeting.server is None else MeetingState.PLACED


def _since(past: Past) -> str:
    if not past.before:
        return f", as of event {past.meeting.sequence}"
    ago = lasting((past.at - past.before[-1].at).total_seconds())
    return f", as of event {past.meeting.sequence} ({ago} before)"


def _where(meeting: Meeting) -> str:
    where = {
        MeetingState.ENDED: "over",
        MeetingState.UNPLACED: "waiting for a place",
        MeetingState.PLACED: f"on [bold]{meeting.server}[/]",
    }[state(meeting)]
    size = meeting.capacity
    settings = "" if size is None else f", {size.participants} participants × {size.producers} producers"
    return f"{where}, epoch {meeting.epoch}{settings}"


def _people(meeting: Meeting) -> Table:
    table = Table("participant", "name", Column("seat", justify="right"), "sends", box=None, padding=(0, 2, 0, 0))
    for id, one in sorted(meeting.participants.items(), key=lambda item: item[1].seat):
        sends = [_sent(producer, made) for producer, made in meeting.producers.items() if made.participant == id]
        table.add_row(id, _plain(one.display_name or ""), str(one.seat), "\n".join(sends) or "nothing")
    return table


def _sent(id: str, made: Producer) -> str:
    return f"{made.kind} {id}" + (", paused" if made.paused else "")


def _log(entries: Iterable[Entry]) -> Table:
    table = Table(Column(justify="right"), "", "", "", box=None, show_header=False, padding=(0, 2, 0, 0))
    for entry in entries:
        body: dict[str, JsonValue] = json.loads(entry.body)
        told = _plain(" ".join(str(body[name]) for name in _TOLD if body.get(name) is not None))
        epoch = body.get("epoch")
        table.add_row(str(entry.sequence), shown(entry.at), entry.type, f"{told} epoch {epoch}" if epoch else told)
    return table


def _plain(said: str) -> str:
    """Return what a client said as nothing but text: no markup of ours, no control characters for a terminal."""
    return escape("".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in said))


def _event(entry: Entry) -> JsonValue:
    body: JsonValue = json.loads(entry.body)
    return {"id": entry.sequence, "at": entry.at.isoformat(), "type": entry.type, "to": entry.to, "body": body}
