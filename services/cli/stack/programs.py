"""Where the programs of the private services are on this machine. Looks, and starts nothing.

`rabbitmq-server --version` would boot a node, and Debian's wrapper drops the environment: the files themselves are
looked for.
"""

import shutil
from pathlib import Path

from services.cli.stack.errors import ProgramMissing

_SYSTEM_PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_POSTGRES_HOMES = ("/usr/lib/postgresql", "/usr/local/lib/postgresql", "/usr/pgsql")
_RABBITMQ_HOMES = ("/usr/lib/rabbitmq/lib", "/opt/rabbitmq", "/usr/local/lib/rabbitmq")


def program(name: str, package: str) -> Path:
    """Return the program's path. Raises ProgramMissing."""
    found = shutil.which(name) or shutil.which(name, path=_SYSTEM_PATHS)
    if found is None:
        raise ProgramMissing(name, package)
    return Path(found)


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.name.rpartition("-")[2].split(".") if part.isdigit())


def postgres_programs() -> Path:
    """Return the directory of the newest Postgres' own programs (initdb, postgres). Raises ProgramMissing."""
    homes = [home for base in _POSTGRES_HOMES for home in Path(base).glob("*") if (home / "bin" / "initdb").exists()]
    if homes:
        return max(homes, key=_version) / "bin"
    return program("initdb", "postgresql").resolve().parent


def rabbitmq_home() -> Path:
    """Return the directory that holds RabbitMQ's `plugins`. Raises ProgramMissing."""
    homes = [home for base in _RABBITMQ_HOMES for home in Path(base).glob("rabbitmq_server-*")]
    homes = [home for home in homes if (home / "plugins").is_dir()]
    if not homes:
        raise ProgramMissing("RabbitMQ", "rabbitmq-server")
    return max(homes, key=_version)


def check_programs() -> None:
    """Raise ProgramMissing for the first program that the private services need and that is not here."""
    postgres_programs()
    rabbitmq_home()
    program("erl", "rabbitmq-server")
    program("redis-server", "redis-server")
    program("setpriv", "util-linux")
