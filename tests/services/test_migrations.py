"""Migrations run once, in order, from several processes at once, and after one of them was killed."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from services.cli.schema import migrate_database
from services.cli.stack.errors import CannotRun
from services.testing.session import Session

MIGRATE = "import sys, pathlib; from services.cli.schema import migrate_database as m; print(m(sys.argv[1], pathlib.Path(sys.argv[2])))"
NAMES = ["0001_first", "0002_second", "0003_third"]


@pytest.fixture
async def url(session: Session) -> AsyncIterator[str]:
    """An empty database."""
    async with session.empty_database() as empty:
        yield empty


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """Three migrations, each of which notes that it ran; the second waits while the table `gate` has a row."""
    (tmp_path / "0001_first.sql").write_text(
        "create table ran (name text, at serial);\ninsert into ran values ('0001_first');"
    )
    (tmp_path / "0002_second.sql").write_text(
        "create table half ();\ndo $$ begin if to_regclass('gate') is not null then perform pg_sleep(60); end if; end $$;\n"
        "insert into ran values ('0002_second');"
    )
    (tmp_path / "0003_third.sql").write_text(
        "create function third() returns int language plpgsql as $$ begin return 3; end $$;\n"
        "insert into ran values ('0003_third');"
    )
    return tmp_path


def ran(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("select name from ran order by at").fetchall()]


def start(url: str, migrations: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MIGRATE, url, str(migrations)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


async def until_it_sleeps(url: str) -> None:
    """Wait until a migration is in the middle of its transaction."""
    query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
    async with asyncio.timeout(20):
        with psycopg.connect(url, autocommit=True) as connection:
            while connection.execute(query).fetchone() == (0,):
                await asyncio.sleep(0.05)


async def test_each_runs_once_and_in_order(url: str, migrations: Path) -> None:
    told: list[str] = []
    assert migrate_database(url, migrations, told.append) == 3
    assert migrate_database(url, migrations, told.append) == 0
    assert told == ran(url) == NAMES


async def test_only_new_ones_run_when_some_ran_before(url: str, migrations: Path) -> None:
    third = migrations / "0003_third.sql"
    text = third.read_text()
    third.unlink()
    assert migrate_database(url, migrations) == 2
    third.write_text(text)
    assert migrate_database(url, migrations) == 1
    assert ran(url) == NAMES


async def test_four_processes_at_once_apply_each_once(url: str, migrations: Path) -> None:
    started = [start(url, migrations) for _ in range(4)]
    ended = [await asyncio.to_thread(process.communicate) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0, 0], ended
    assert sorted(int(output) for output, _ in ended) == [0, 0, 0, 3]
    assert ran(url) == NAMES


async def test_a_process_killed_in_the_middle_of_a_migration_leaves_nothing_of_it(url: str, migrations: Path) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create table gate ()")
    killed = start(url, migrations)
    await until_it_sleeps(url)
    killed.kill()
    killed.communicate()
    with psycopg.connect(url) as connection:
        connection.execute("drop table gate")
    begun = time.monotonic()
    assert await asyncio.to_thread(migrate_database, url, migrations) == 2
    assert ran(url) == NAMES
    assert time.monotonic() - begun < 15


async def test_a_lock_row_that_a_killed_process_left_holds_nobody_up(url: str, migrations: Path) -> None:
    migrate_database(url, migrations)
    with psycopg.connect(url) as connection:
        connection.execute("insert into yoyo_lock (locked, ctime, pid) values (1, now(), 4711)")
    (migrations / "0004_fourth.sql").write_text("insert into ran values ('0004_fourth');")
    begun = time.monotonic()
    assert migrate_database(url, migrations) == 1
    assert time.monotonic() - begun < 5


async def test_a_failing_migration_keeps_nothing_and_says_why_in_one_line(url: str, migrations: Path) -> None:
    (migrations / "0004_broken.sql").write_text("create table kept ();\nselect 1 / 0;")
    with pytest.raises(CannotRun, match="division by zero") as raised:
        migrate_database(url, migrations)
    assert "\n" not in str(raised.value)
    with psycopg.connect(url) as connection:
        assert connection.execute("select to_regclass('kept')").fetchone() == (None,)
    assert ran(url) == NAMES


async def test_a_database_that_is_away_is_one_line(migrations: Path) -> None:
    with pytest.raises(CannotRun, match="cannot be reached") as raised:
        migrate_database("postgresql://nobody@127.0.0.1:1/none", migrations)
    assert "\n" not in str(raised.value)
