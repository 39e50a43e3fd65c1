"""`doordarshan tenant`: who may use this cluster, and from which web origins."""

from urllib.parse import urlsplit

from cyclopts import App
from rich.console import Console
from rich.table import Table

from services.cli import store
from services.cli.cluster import checked_id, cluster_database
from services.cli.stack.errors import CannotRun

tenant = App(name="tenant", help="Create, change and list tenants.")


@tenant.command
def add(id_: str, /, *, name: str | None = None, origin: list[str] | None = None) -> None:
    """Create a tenant, or change the one of this id.

    Parameters
    ----------
    id_
        1 to 64 letters, digits, - and _.
    name
        What people call it.
    origin
        A web origin whose pages may call with this tenant's tokens, as `https://app.example`; may be repeated, replaces the list
        (`--empty-origin` empties it).
    """
    origins = None if origin is None else [checked_origin(one) for one in origin]
    with cluster_database() as connection:
        row = connection.execute(
            store.PUT_TENANT, {"id": checked_id("tenant", id_), "name": name, "origins": origins}
        ).fetchone()
    print(f"tenant {id_} {'created' if row and row[0] else 'changed'}")


@tenant.command(name="list")
def list_() -> None:
    """Show every tenant."""
    table = Table("tenant", "name", "web origins", "keys", "created", box=None, padding=(0, 2))
    with cluster_database() as connection:
        for id_, name, origins, created, keys in connection.execute(store.LIST_TENANTS):
            table.add_row(id_, name, "\n".join(origins), str(keys), f"{created:%Y-%m-%d}")
    Console(highlight=False).print(table)


def checked_origin(origin: str) -> str:
    """Return a web origin as browsers send it. Raises CannotRun for anything else, `*` and `null` included."""
    parts = urlsplit(origin)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.netloc
        or origin != f"{parts.scheme}://{parts.netloc}".lower()
    ):
        raise CannotRun(f"{origin!r} is no web origin: scheme, host and perhaps port, as https://app.example")
    return origin
