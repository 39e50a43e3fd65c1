"""The migrations' result against what the stores use: every named statement of every service is prepared by a migrated Postgres."""

import importlib
import pkgutil
import re
from collections.abc import AsyncIterator, Iterator
from itertools import count

import asyncpg
import pytest

import services
from services.testing.session import Database

STATEMENT = re.compile(r"\s*(select|insert|update|delete|with)\s", re.IGNORECASE)
TABLES = """
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind = 'r' and c.relname !~ 'yoyo'
"""


def statements() -> Iterator[tuple[str, str]]:
    """Yield (module.NAME, SQL) of every statement that a service names."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if name.isupper() and isinstance(value, str) and STATEMENT.match(value):
                yield f"{module.name}.{name}", value


FOUND = dict(statements())


def numbered(sql: str) -> str:
    """Return the statement with psycopg's %s and %(name)s as Postgres' own $1, $2 …"""
    numbers, names = count(1), dict[str | int, int]()

    def number(found: re.Match[str]) -> str:
        name = found["name"] or found.start()
        if name not in names:
            names[name] = next(numbers)
        return f"${names[name]}"

    return re.sub(r"%(?:\((?P<name>\w+)\))?s", number, sql)


def test_the_statements_of_every_service_are_found() -> None:
    owners = {name.split(".")[1] for name in FOUND}
    assert owners == {"gateway", "kendra", "media_server", "cli"}
    assert len(FOUND) > 50


@pytest.fixture
async def connection(postgres: Database) -> AsyncIterator[asyncpg.Connection]:
    one = await asyncpg.connect(postgres.url)
    yield one
    await one.close()


async def test_postgres_can_prepare_each_of_them(connection: asyncpg.Connection) -> None:
    refused = {}
    for name, sql in FOUND.items():
        try:
            await connection.prepare(numbered(sql))
        except asyncpg.PostgresError as error:
            refused[name] = str(error)
    assert refused == {}


async def test_no_table_is_there_that_nobody_uses(connection: asyncpg.Connection) -> None:
    functions = await connection.fetch("select prosrc from pg_proc where pronamespace = 'public'::regnamespace")
    used = "\n".join([*FOUND.values(), *(row["prosrc"] for row in functions)])
    tables = {row["relname"] for row in await connection.fetch(TABLES)}
    assert {table for table in tables if not re.search(rf"\b{table}\b", used)} == set()
