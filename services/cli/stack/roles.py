"""Postgres' roles: `doordarshan` owns the database and migrates it; gateway, kendra and media read and write rows.

Everything here may be run again at any time, and brings passwords and rights to what is asked.
"""

from collections.abc import Iterable, Mapping

import psycopg
from psycopg import sql

OWNER = "doordarshan"
ROLES = ("gateway", "kendra", "media")
DATABASE = "doordarshan"

_RIGHTS = (
    "alter default privileges for role {owner} in schema public grant select, insert, update, delete on tables to {role}",
    "alter default privileges for role {owner} in schema public grant usage, select on sequences to {role}",
    "alter default privileges for role {owner} in schema public grant execute on functions to {role}",
    "grant usage on schema public to {role}",
    "grant select, insert, update, delete on all tables in schema public to {role}",
    "grant usage, select on all sequences in schema public to {role}",
)


def put_roles(admin_url: str, passwords: Mapping[str, str]) -> None:
    """Make roles that may log in, or bring them to these passwords. The owner may make databases (tests do)."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        known = {row[0] for row in admin.execute("select rolname from pg_roles").fetchall()}
        for role, password in passwords.items():
            verb = sql.SQL("alter" if role in known else "create")
            power = sql.SQL("createdb" if role == OWNER else "")
            statement = sql.SQL("{} role {} login {} password {}")
            admin.execute(statement.format(verb, sql.Identifier(role), power, sql.Literal(password)))


def put_database(admin_url: str, name: str, owner: str) -> None:
    """Make a database unless it is there."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        if not admin.execute("select 1 from pg_database where datname = %s", (name,)).fetchone():
            admin.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(name), sql.Identifier(owner)))


def grant_rows(admin_url: str, owner: str, roles: Iterable[str]) -> None:
    """Let roles read and write rows of whatever `owner` has or will make in the schema `public`, and change no table."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("alter schema public owner to {}").format(sql.Identifier(owner)))
        for role in roles:
            for right in _RIGHTS:
                admin.execute(sql.SQL(right).format(owner=sql.Identifier(owner), role=sql.Identifier(role)))
