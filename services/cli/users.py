"""`doordarshan users`: the users of RabbitMQ and Redis with their permissions, as the files that these load at their start.

Passwords come from the environment, one per process, and the same process has the same one at Postgres (`migrate` puts
it there): DOORDARSHAN_PASSWORD_GATEWAY, _KENDRA, _MEDIA, _TOOL, _ADMINISTRATOR.
"""

import json
import os
from pathlib import Path

from services.cli.stack.broker_users import USERS, definitions
from services.cli.stack.errors import CannotRun
from services.cli.stack.rabbitmq import ADMINISTRATOR
from services.cli.stack.redis import USERS as REDIS_USERS
from services.cli.stack.redis import access_list

PASSWORD = "DOORDARSHAN_PASSWORD_"


def users(directory: Path) -> None:
    """Write `rabbitmq.json` (load_definitions) and `redis.acl` (aclfile) into a directory.

    Parameters
    ----------
    directory
        Where the two files go; only RabbitMQ and Redis should be able to read there.
    """
    try:
        (directory / "rabbitmq.json").write_text(json.dumps(definitions(passwords((*USERS, ADMINISTRATOR)))))
        (directory / "redis.acl").write_text(access_list(passwords(REDIS_USERS)))
    except OSError as error:
        raise CannotRun(f"{directory}: {error.strerror}") from None
    print(f"wrote rabbitmq.json and redis.acl into {directory}")


def passwords(names: tuple[str, ...]) -> dict[str, str]:
    """Return the passwords of these users. Raises CannotRun for one that is not set, or that a URL could not hold."""
    found = {name: os.environ.get(f"{PASSWORD}{name.upper()}", "") for name in names}
    for name, password in found.items():
        if len(password) < 12 or not password.replace("-", "").replace("_", "").isalnum():
            raise CannotRun(f"{PASSWORD}{name.upper()} must be 12 or more letters, digits, - and _")
    return found
