"""A private Redis: loopback only, one ACL user per service, the default user off.

Durable, it keeps an append-only file synced each second: streams carry notifications, Postgres has the truth.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from services.cli.stack.errors import NotReady
from services.cli.stack.process import Child
from services.cli.stack.programs import program
from services.cli.stack.rundir import RunDirectory

USERS = ("gateway", "kendra", "administrator")
_RIGHTS = {
    "gateway": "~* &* +@all -@admin -@dangerous +info",
    "kendra": "~* &* +@all -@admin -@dangerous +info",
    "administrator": "~* &* +@all",
}
_START_DEADLINE = 20.0
_DURABLE = ("--appendonly", "yes", "--appendfsync", "everysec")
_VOLATILE = ("--appendonly", "no")


def access_list(passwords: Mapping[str, str]) -> str:
    """Return the content of an ACL file: these users with their rights, and nobody else.

    The default user is off, but keeps its rights: Redis reads its append-only file in that user's name, and would pass over
    every transaction (each run of events that the relay appends is one) that the user had no right to.
    """
    return "\n".join(
        ["user default off ~* &* +@all", *(f"user {u} on >{p} {_RIGHTS[u]}" for u, p in passwords.items()), ""]
    )


class Redis:
    """One private Redis."""

    name = "redis"

    def __init__(self, run: RunDirectory, port: int, *, durable: bool = True) -> None:
        self.port = port
        self._run = run
        self._home = run.path / "redis"
        options = [
            *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(self._home), "--save", ""),
            *("--aclfile", str(self._home / "users.acl"), "--maxmemory-policy", "noeviction", "--daemonize", "no"),
            *(_DURABLE if durable else _VOLATILE),
        ]
        command: list[str | Path] = [program("redis-server", "redis-server"), *options]
        self.child = Child(self.name, command, {"PATH": "/usr/bin:/bin"}, run.logs / "redis.log")

    def url(self, user: str, database: int = 0) -> str:
        """Return the URL with which a user reaches it."""
        return f"redis://{user}:{self._run.secrets.get(f'redis.{user}')}@127.0.0.1:{self.port}/{database}"

    async def start(self) -> None:
        """Start it and wait until it answers. Raises NotReady."""
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._write_users()
        await self.child.start()
        deadline = asyncio.get_running_loop().time() + _START_DEADLINE
        while asyncio.get_running_loop().time() < deadline and self.child.running:
            if await self._answers():
                return
            await asyncio.sleep(0.01)
        raise NotReady(self.name, self.child.last_words())

    async def stop(self) -> None:
        """Stop it; a durable one writes its file first."""
        await self.child.stop(grace=10)

    async def kill(self) -> None:
        """Kill it as a crash would."""
        await self.child.kill()

    def _write_users(self) -> None:
        path = self._home / "users.acl"
        path.touch(0o600)
        path.write_text(access_list({user: self._run.secrets.get(f"redis.{user}") for user in USERS}))

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(f"AUTH administrator {self._run.secrets.get('redis.administrator')}\r\nPING\r\n".encode())
            answers = [await asyncio.wait_for(reader.readline(), 1.0) for _ in range(2)]
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
        return answers == [b"+OK\r\n", b"+PONG\r\n"]
