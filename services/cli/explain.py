"""`doordarshan explain <meeting>`: why a meeting lives where it lives, decision by decision."""

import asyncio
from typing import cast

from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Column, Table

from contracts.details import Decision, PlacementExplained
from contracts.ids import Id
from services.cli.deployment import Deployment
from services.cli.participant.api import Api, ApiError
from services.cli.stack.errors import CannotRun


def explain(
    meeting: str, *, url: str | None = None, key: str | None = None, secret: str | None = None, insecure: bool = False
) -> None:
    """Show why a meeting lives where it lives.

    Parameters
    ----------
    meeting
        The meeting's id.
    url
        The gateway. By default the `up` of this checkout, or DOORDARSHAN_URL.
    key
        The id of an API key of the meeting's tenant that may admin. Else DOORDARSHAN_KEY, or the `up`'s own.
    secret
        That key's secret. Else DOORDARSHAN_SECRET.
    insecure
        Accept a certificate that nobody vouches for.
    """
    try:
        TypeAdapter(Id).validate_python(meeting)
    except ValueError:
        raise CannotRun(f"{meeting!r} is no meeting id: 1 to 64 letters, digits, - and _") from None
    explained = asyncio.run(_read(Deployment.find(url, key, secret, verify=not insecure), meeting))
    console = Console()
    for decision in explained.decisions:
        _show(console, decision)


async def _read(deployment: Deployment, meeting: str) -> PlacementExplained:
    api = Api(deployment.url, deployment.token(meeting, ("admin",)), verify=deployment.verify, budget=5)
    try:
        return PlacementExplained.model_validate(await api.get(f"/v1/meetings/{meeting}/placement"))
    except ApiError as error:
        raise CannotRun(str(error)) from None
    finally:
        await api.close()


def _show(console: Console, decision: Decision) -> None:
    went = cast(str, decision.chosen) if decision.chosen else "nowhere"
    console.print(
        f"[bold]{decision.at:%Y-%m-%d %H:%M:%S}[/] epoch {decision.epoch}, {decision.streams} streams → [bold]{went}[/]: {decision.reason}",
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
