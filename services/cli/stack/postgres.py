"""A private Postgres: one cluster in one directory, scram passwords, loopback only.

Postgres refuses to run as root: root runs it as the user `postgres`. After a kill -9 of the postmaster its
backends still hold the shared memory for a moment, so a start is tried again until its deadline.
"""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from services.cli.stack.errors import CannotRun, NotReady
from services.cli.stack.process import Child
from services.cli.stack.programs import postgres_programs, program
from services.cli.stack.roles import DATABASE, OWNER, ROLES, grant_rows, put_database, put_roles
from services.cli.stack.rundir import RunDirectory, outside, reachable

_START_DEADLINE = 30.0
_VOLATILE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0")


class Postgres:
    """One private Postgres. With `durable=False` it is fast and forgets when the machine crashes: for tests."""

    name = "postgres"

    def __init__(self, run: RunDirectory, port: int, *, durable: bool = True) -> None:
        self.port = port
        self._run = run
        self._programs = postgres_programs()
        self._user = "postgres" if os.getuid() == 0 else None
        self._home = self._place()
        self._durable = durable
        self.child = Child(
            name=self.name,
            command=[self._programs / "postgres", "-D", self._home / "data", *self._options(durable)],
            environment={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "PGTZ": "UTC"},
            log=run.logs / "postgres.log",
            user=self._user,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, keeps everything committed
            orphan_signal=signal.SIGINT,
        )

    @property
    def elsewhere(self) -> Path | None:
        """Where its data is when that is not in the run directory, because its user cannot come down to there."""
        return None if self._home.is_relative_to(self._run.path) else self._home

    @property
    def _mark(self) -> Path:
        """Written when roles and database are made; says which run directory's secrets open the cluster."""
        return self._home / "prepared"

    def _is_of_a_removed_run(self) -> bool:
        """Whether the data outlived its run directory: then nobody has its passwords any more."""
        outlived = self.elsewhere is not None and self._mark.exists()
        return outlived and self._mark.read_text() != self._run.secrets.get("postgres.cluster")

    @property
    def data(self) -> Path:
        """The cluster's directory."""
        return self._home / "data"

    def url(self, role: str = OWNER, database: str = DATABASE) -> str:
        """Return the URL with which a role reaches a database."""
        return f"postgresql://{role}:{self._run.secrets.get(f'postgres.{role}')}@127.0.0.1:{self.port}/{database}"

    async def start(self) -> None:
        """Start it and wait until it takes connections; at the first start make cluster, roles and database.

        Raises NotReady.
        """
        if not (self.data / "PG_VERSION").exists() or self._is_of_a_removed_run():
            await asyncio.to_thread(self._make_cluster)
        await self._start_server()
        if not self._mark.exists():
            await asyncio.to_thread(self._prepare)
            self._mark.write_text(self._run.secrets.get("postgres.cluster"))

    async def stop(self) -> None:
        """Stop it; what was committed stays."""
        await self.child.stop(grace=15)

    async def kill(self) -> None:
        """Kill it as a crash would."""
        await self.child.kill()

    async def _start_server(self) -> None:
        deadline = asyncio.get_running_loop().time() + _START_DEADLINE
        while asyncio.get_running_loop().time() < deadline:
            await self.child.start()
            while self.child.running and asyncio.get_running_loop().time() < deadline:
                if self._says_ready():
                    return
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)
        raise NotReady(self.name, self.child.last_words())

    def _says_ready(self) -> bool:
        """Read the last line of postmaster.pid, as pg_ctl does."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.child.pid) and lines[7].strip() == "ready"

    def _options(self, durable: bool) -> list[str]:
        settings = [
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=300",
            "password_encryption=scram-sha-256",
            "log_min_messages=warning",
            *(() if durable else _VOLATILE),
        ]
        return [part for setting in settings for part in ("-c", setting)]

    def _place(self) -> Path:
        """Return a directory that the server's user can reach."""
        home = self._run.path / "postgres"
        if self._user is None:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            return home
        try:
            user = pwd.getpwnam(self._user)
        except KeyError:
            raise CannotRun(
                "Postgres does not run as root and there is no user postgres: apt-get install postgresql"
            ) from None
        self._run.path.mkdir(parents=True, exist_ok=True)
        if not reachable(home, user.pw_uid, user.pw_gid):
            home = outside(self._run.path) / "postgres"
        home.mkdir(exist_ok=True, mode=0o700)
        os.chown(home, user.pw_uid, user.pw_gid)
        return home

    def _make_cluster(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        self._mark.unlink(missing_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._home) as password:
            password.write(self._run.secrets.get("postgres.postgres"))
            password.flush()
            if self._user is not None:
                shutil.chown(password.name, self._user)
            self._initdb(Path(password.name))

    def _initdb(self, password: Path) -> None:
        as_user = (
            [str(program("setpriv", "util-linux")), "--reuid", self._user, "--regid", self._user, "--init-groups", "--"]
            if self._user is not None
            else []
        )
        options = ["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-instructions"]
        sync = [] if self._durable else ["--no-sync"]
        done = subprocess.run(
            [*as_user, str(self._programs / "initdb"), "-D", str(self.data), *options, f"--pwfile={password}", *sync],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if done.returncode != 0:
            raise NotReady(self.name, " | ".join(done.stderr.strip().splitlines()[-2:]))

    def _prepare(self) -> None:
        """Make the roles and the database; run again after a crash in the middle it makes what is missing."""
        admin = self.url("postgres", "postgres")
        put_roles(admin, {role: self._run.secrets.get(f"postgres.{role}") for role in (OWNER, *ROLES)})
        put_database(admin, DATABASE, OWNER)
        grant_rows(self.url("postgres", DATABASE), OWNER, ROLES)
