"""The database's schema: plain SQL files under `migrations/`, run once each, in order, by yoyo.

Two processes may migrate at the same time, and either may be killed at any moment: a session-level advisory lock lets one
in (the server frees it with the connection), what yoyo's own lock row says is void while we hold it, and a migration
and the mark that it was applied are one transaction.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
import yoyo
from yoyo.backends import DatabaseBackend

from services.cli.stack.errors import CannotRun
from services.cli.stack.rundir import PROJECT

MIGRATIONS = PROJECT / "migrations"
ADVISORY_LOCK = 0x_646F_6F72  # any number that every process of this project uses
_CONNECT_SECONDS = 10


def migrate_database(
    url: str, migrations: Path = MIGRATIONS, on_applied: Callable[[str], None] = lambda _id: None
) -> int:
    """Apply what is missing; return how many were applied. Waits for another process that migrates.

    Raises CannotRun when the database cannot be reached or a migration fails (nothing of that one is kept then).
    """
    if not any(migrations.glob("*.sql")):
        raise CannotRun(f"no migrations in {migrations}")
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_SECONDS) as guard:
            guard.execute("select pg_advisory_lock(%s)", (ADVISORY_LOCK,))
            return _apply(url, migrations, on_applied)
    except psycopg.OperationalError as error:
        raise CannotRun(f"the database cannot be reached: {_one_line(error)}") from None
    except psycopg.Error as error:
        raise CannotRun(f"a migration failed: {_one_line(error)}") from None


def _apply(url: str, migrations: Path, on_applied: Callable[[str], None]) -> int:
    backend: DatabaseBackend = yoyo.get_backend(_yoyo_url(url))
    try:
        backend.break_lock()
        backend.ensure_internal_schema_updated()
        missing = backend.to_apply(yoyo.read_migrations(str(migrations)))
        for migration in missing:
            with backend.transaction():
                migration.process_steps(backend, "apply")
                backend.mark_one(migration)
            on_applied(migration.id)
        return len(missing)
    finally:
        backend.connection.close()


def _yoyo_url(url: str) -> str:
    """Return the URL in yoyo's words. The server looks each second whether a killed process' connection is gone."""
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query), ("options", "-c client_connection_check_interval=1000")]
    return urlunsplit(parts._replace(scheme="postgresql+psycopg", query=urlencode(query, quote_via=quote)))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
