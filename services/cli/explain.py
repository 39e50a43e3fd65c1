"""`doordarshan explain`: why a meeting lives where it lives, why a server has the meetings that it has, what another policy would do."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.table import Column, Table

from contracts.details import Candidate, Decision, KeptRouter, PlacementExplained
from contracts.ids import MediaServerId
from services.cli.cluster import checked_id, cluster_database
from services.cli.deployment import Deployment
from services.cli.participant.api import Api, ApiError
from services.cli.stack.errors import CannotRun
from services.cli.store import MEETINGS_OF_SERVER
from services.cli.what_if.command import what_if


def explain(
    meeting: str | None = None,
    *,
    server: str | None = None,
    policy: Path | None = None,
    since: str | None = None,
    recording: Path | None = None,
    capacity: int | None = None,
    json: bool = False,
    url: str | None = None,
    key: str | None = None,
    secret: str | None = None,
    insecure: bool = False,
) -> None:
    """Show why a meeting lives where it lives, why a server has its meetings, or what another placement policy would have done.

    Parameters
    ----------
    meeting
        The meeting's id: each decision about it.
    server
        A media server's name: each meeting there, and why. Reads the database (DOORDARSHAN_POSTGRES_URL, or the `up`'s).
    policy
        A policy (TOML): what it would have done with the meetings that were. Reads the database, or a recording.
    since
        How far back the policy is tried: 90m, 2h, 7d, or a time. By default all that is kept.
    recording
        A file of `doordarshan record` instead of the database.
    capacity
        What a media server can take of which the recording says nothing, in streams.
    json
        Print one JSON object.
    url
        The gateway. By default the `up` of this checkout, or DOORDARSHAN_URL.
    key
        The id of an API key of the meeting's tenant that may admin. Else DOORDARSHAN_KEY, or the `up`'s own.
    secret
        That key's secret. Else DOORDARSHAN_SECRET.
    insecure
        Accept a certificate that nobody vouches for.
    """
    if [meeting, server, policy].count(None) != 2:
        raise CannotRun("name one of: a meeting, --server NAME, --policy FILE")
    if policy is not None:
        what_if(policy, since, recording, capacity, json=json)
    elif server is not None:
        _show_server(Console(), checked_id("server", server))
    elif meeting is not None:
        asked = checked_id("meeting", meeting)
        explained = asyncio.run(_read(Deployment.find(url, key, secret, verify=not insecure), asked))
        if json:
            print(explained.model_dump_json(by_alias=True, indent=1))
        else:
            show_meeting(Console(), explained.decisions, explained.kept)


def show_meeting(console: Console, decisions: Sequence[Decision], kept: KeptRouter | None = None) -> None:
    """Print each decision about a meeting, with what made it leave the server that it was on, and where a router still goes on."""
    before: MediaServerId | None = None
    for decision in decisions:
        _show(console, decision, before)
        before = decision.chosen
    if kept is not None:
        console.print(
            f"[bold]{kept.media_server_id}[/] is left: its router of epoch {kept.epoch} forwards"
            f" until {kept.keep_until:%H:%M:%S}, or until everybody has moved",
            highlight=False,
            soft_wrap=True,
        )


def _show_server(console: Console, server: str) -> None:
    with cluster_database() as connection:
        rows = connection.execute(MEETINGS_OF_SERVER, {"server": server}).fetchall()
    if not rows:
        raise CannotRun(f"no meeting lives on {server}, or there is no such server")
    table = Table("tenant", "meeting", "epoch", "streams", "since", "why", box=None, padding=(0, 1))
    for tenant, meeting, epoch, streams, at, why, leaving in rows:
        reason = f"leaving: forwards until {leaving:%H:%M:%S}" if leaving else why or "its decision is forgotten"
        table.add_row(tenant, meeting, str(epoch), str(streams), f"{at:%Y-%m-%d %H:%M:%S}" if at else "", reason)
    console.print(table)


async def _read(deployment: Deployment, meeting: str) -> PlacementExplained:
    api = Api(deployment.url, deployment.token(meeting, ("admin",)), verify=deployment.verify, budget=5)
    try:
        return PlacementExplained.model_validate(await api.get(f"/v1/meetings/{meeting}/placement"))
    except ApiError as error:
        raise CannotRun(str(error)) from None
    finally:
        await api.close()


def _left(decision: Decision, before: MediaServerId | None) -> str:
    """Say why the meeting could not stay where it was; nothing for one that was created anew, or whose router alone was lost."""
    if before is None:
        return ""
    seen: Candidate | None = next((one for one in decision.candidates if one.media_server_id == before), None)
    why = "gone" if seen is None else seen.rejected
    return f" from {before} ({why})" if why else ""


def _show(console: Console, decision: Decision, before: MediaServerId | None) -> None:
    went = cast(str, decision.chosen) if decision.chosen else "nowhere"
    console.print(
        f"[bold]{decision.at:%Y-%m-%d %H:%M:%S}[/] epoch {decision.epoch}, {decision.streams} streams"
        f"{_left(decision, before)} → [bold]{went}[/]: {decision.reason}",
        highlight=False,
        soft_wrap=True,
    )
    table = Table(
        Column("server", no_wrap=True),
        "booked",
        "capacity",
        "cpu",
        "egress",
        "utilization",
        "",
        box=None,
        padding=(0, 1),
    )
    for one in decision.candidates:
        table.add_row(
            one.media_server_id,
            str(one.booked),
            str(one.capacity),
            f"{one.cpu:.0%}",
            f"{one.egress:.0%}",
            f"{one.utilization:.1%}",
            one.rejected or ("chosen" if one.media_server_id == decision.chosen else ""),
        )
    console.print(table)
