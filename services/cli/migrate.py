"""`doordarshan migrate`: bring the database to the newest schema."""

import os

from services.cli.schema import migrate_database
from services.cli.stack.errors import CannotRun
from services.cli.stack.private import POSTGRES_URL
from services.cli.stack.roles import OWNER, ROLES, grant_rows, put_roles
from services.cli.users import PASSWORD, passwords


def migrate() -> None:
    """Apply the migrations that DOORDARSHAN_POSTGRES_URL has not seen. Safe to run twice, and at the same time.

    With DOORDARSHAN_PASSWORD_GATEWAY, _KENDRA and _MEDIA set, the roles of these names are made, or brought to these
    passwords, and may read and write rows; the URL's user must then be allowed to make roles.
    """
    url = os.environ.get(POSTGRES_URL)
    if not url:
        raise CannotRun(f"{POSTGRES_URL} is not set: which database?")
    applied = migrate_database(url, on_applied=lambda migration: print(f"applied {migration}"))
    print(f"{applied} applied" if applied else "nothing to do")
    if f"{PASSWORD}GATEWAY" in os.environ:
        put_roles(url, passwords(ROLES))
        grant_rows(url, OWNER, ROLES)
