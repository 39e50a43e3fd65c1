"""The cluster whose tenants and keys the operator's commands change: its database and its secret.

DOORDARSHAN_POSTGRES_URL and DOORDARSHAN_CLUSTER_SECRET name it, else it is the running `up` of this checkout.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from pydantic import TypeAdapter, ValidationError

from contracts.ids import Id
from services.cli.demo import CLUSTER_SECRET
from services.cli.stack.errors import CannotRun
from services.cli.stack.private import POSTGRES_URL
from services.cli.stack.rundir import RunDirectory
from services.sealing import Sealing

_CONNECT_SECONDS = 10
_ID: TypeAdapter[str] = TypeAdapter(Id)


@contextmanager
def cluster_database() -> Iterator[psycopg.Connection]:
    """Give a connection whose transaction is committed at the end. Raises CannotRun with what is wrong."""
    _, facts = RunDirectory.of_up().state()
    url = os.environ.get(POSTGRES_URL) or facts.get("postgres")
    if not url:
        raise CannotRun(f"which database? Set {POSTGRES_URL}, or start `make up`")
    try:
        with psycopg.connect(url, connect_timeout=_CONNECT_SECONDS) as connection:
            yield connection
    except psycopg.Error as error:
        raise CannotRun(f"the database refused: {' '.join(str(error).split())}") from None


def cluster_sealing() -> Sealing:
    """Return what seals API secrets. Raises CannotRun when the cluster's secret is not known, or too short.

    A secret of this checkout's own seals nothing for somebody else's database: its gateways could not open it.
    """
    run = RunDirectory.of_up()
    _, facts = run.state()
    secret = os.environ.get(CLUSTER_SECRET)
    if not secret and os.environ.get(POSTGRES_URL) in {None, "", facts.get("postgres")}:
        secret = run.secrets.find("cluster_secret")
    if not secret:
        raise CannotRun(f"{CLUSTER_SECRET} is not set: it must be the gateways' own")
    try:
        return Sealing(secret)
    except ValueError as short:
        raise CannotRun(str(short)) from None


def checked_id(what: str, value: str) -> str:
    """Return an id. Raises CannotRun unless it is 1 to 64 letters, digits, - and _."""
    try:
        return _ID.validate_python(value)
    except ValidationError:
        raise CannotRun(f"{value!r} is no {what} id: 1 to 64 letters, digits, - and _") from None
