"""`doordarshan migrate`: bring the database to the newest schema."""

import os

from services.cli.schema import migrate_database
from services.cli.stack.errors import CannotRun
from services.cli.stack.private import POSTGRES_URL


def migrate() -> None:
    """Apply the migrations that DOORDARSHAN_POSTGRES_URL has not seen. Safe to run twice, and at the same time."""
    url = os.environ.get(POSTGRES_URL)
    if not url:
        raise CannotRun(f"{POSTGRES_URL} is not set: which database?")
    applied = migrate_database(url, on_applied=lambda migration: print(f"applied {migration}"))
    print(f"{applied} applied" if applied else "nothing to do")
