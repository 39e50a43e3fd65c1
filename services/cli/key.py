"""`doordarshan key`: API keys. A tenant's backend signs access tokens with a key's secret; the cluster keeps it sealed."""

import secrets

import psycopg
from cyclopts import App
from rich.console import Console
from rich.table import Table

from contracts.actor import Grant
from contracts.ids import ApiKeyId
from services.cli import store
from services.cli.cluster import checked_id, cluster_database, cluster_sealing
from services.cli.stack.errors import CannotRun

key = App(name="key", help="Create, revoke and list API keys.")

TENANTS_OWN = (Grant.CREATE, Grant.JOIN, Grant.PRODUCE, Grant.CONSUME, Grant.ADMIN)


@key.command
def add(tenant: str, /, *, grant: list[Grant] | None = None, operator: bool = False) -> None:
    """Create an API key. Its secret is shown once and cannot be shown again.

    Parameters
    ----------
    tenant
        Whose key it is.
    grant
        What its tokens may do at most; may be repeated. All but `operator` unless said.
    operator
        Its tokens may also run the servers of this cluster: never give such a key to a tenant.
    """
    grants = tuple(grant or TENANTS_OWN)
    if Grant.OPERATOR in grants:
        raise CannotRun("say --operator to make an operator's key")
    id_, secret = ApiKeyId(f"dk_{secrets.token_hex(8)}"), secrets.token_urlsafe(32)
    carried = [one.value for one in (*grants, *([Grant.OPERATOR] * operator))]
    row = (id_, checked_id("tenant", tenant), cluster_sealing().seal(id_, secret), carried)
    with cluster_database() as connection:
        try:
            connection.execute(store.ADD_KEY, row)
        except psycopg.errors.ForeignKeyViolation:
            raise CannotRun(f"there is no tenant {tenant}; `doordarshan tenant add {tenant}` creates it") from None
    print(f"key     {id_}\nsecret  {secret}")
    print("The secret is not shown again. Sign access tokens with it: HS256, `iss` = the key.")


@key.command
def revoke(id_: str, /) -> None:
    """End a key. Its access tokens are refused within seconds; participants it let in stay until their tokens expire."""
    with cluster_database() as connection:
        if connection.execute(store.REVOKE_KEY, (id_,)).fetchone() is None:
            raise CannotRun(f"there is no key {id_} that could be revoked")
    print(f"key {id_} revoked")


@key.command(name="list")
def list_(tenant: str | None = None, /) -> None:
    """Show the keys, of one tenant or of all; never their secrets."""
    table = Table("key", "tenant", "grants", "created", "revoked", box=None, padding=(0, 2))
    with cluster_database() as connection:
        for id_, of, grants, created, revoked in connection.execute(store.LIST_KEYS, {"tenant": tenant}):
            table.add_row(id_, of, " ".join(grants), f"{created:%Y-%m-%d}", f"{revoked:%Y-%m-%d}" if revoked else "")
    Console(highlight=False).print(table)
