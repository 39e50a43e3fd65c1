"""Who may do what on the broker, and the definitions file that says so to RabbitMQ.

The patterns follow the queue table of the bus: a service declares and reads its own queues, and publishes to the default
exchange (there the routing key is a queue's name, which RabbitMQ cannot restrict). `dead` is the dead-letter exchange and
queue, `watch` the topic exchange. A definitions file is loaded at boot; a user made with rabbitmqctl costs a second.
"""

import base64
import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.cli.stack.errors import CannotRun

VHOST = "doordarshan"


@dataclass(frozen=True, slots=True)
class Permissions:
    """Patterns of what a user may configure (declare, delete), write (publish, bind to) and read (consume, bind from)."""

    configure: str
    write: str
    read: str


USERS: Mapping[str, Permissions] = {
    "gateway": Permissions(
        configure=r"^reply\.gateway\..+$",
        write=r"^(amq\.default|reply\.gateway\..+)$",
        read=r"^reply\.gateway\..+$",
    ),
    "kendra": Permissions(
        configure=r"^(kendra\.commands|dead|watch|reply\.kendra\..+)$",
        write=r"^(amq\.default|kendra\.commands|dead|watch|reply\.kendra\..+)$",
        read=r"^(kendra\.commands|dead|reply\.kendra\..+)$",
    ),
    "media": Permissions(
        configure=r"^(media\.[^.]+\.[^.]+\.commands|dead|watch|reply\.media[^.]*\..+)$",
        write=r"^(amq\.default|media\.[^.]+\.[^.]+\.commands|dead|watch|reply\.media[^.]*\..+)$",
        read=r"^(media\.[^.]+\.[^.]+\.commands|dead|reply\.media[^.]*\..+)$",
    ),
    "tool": Permissions(
        configure=r"^(reply|watch)\.tool\..+$",
        write=r"^(amq\.default|(reply|watch)\.tool\..+)$",
        read=r"^(watch|(reply|watch)\.tool\..+)$",
    ),
}
"""The four users. `tool` is for people and programs that watch or send commands themselves."""

EVERYTHING = Permissions(configure=".*", write=".*", read=".*")


def password_hash(password: str) -> str:
    """Return RabbitMQ's salted hash of a password: base64(salt + sha256(salt + password)), salt of 4 bytes."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def definitions(passwords: Mapping[str, str], vhosts: Iterable[str] = (VHOST,)) -> dict[str, object]:
    """Return the content of a definitions file: the users with their passwords, and their permissions in each vhost.

    `passwords` has one for every name in USERS; any other name is an administrator who may do everything.
    """
    missing = USERS.keys() - passwords.keys()
    if missing:
        raise CannotRun(f"a password is missing for the broker's user {', '.join(sorted(missing))}")
    vhosts = tuple(vhosts)
    return {
        "users": [
            {
                "name": name,
                "password_hash": password_hash(password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "" if name in USERS else "administrator",
                "limits": {},
            }
            for name, password in passwords.items()
        ],
        "vhosts": [{"name": vhost} for vhost in vhosts],
        "permissions": [_permission(name, vhost) for vhost in vhosts for name in passwords],
        "queues": [],
        "exchanges": [],
        "bindings": [],
        "policies": [],
        "parameters": [],
        "global_parameters": [],
        "topic_permissions": [],
    }


def _permission(name: str, vhost: str) -> dict[str, str]:
    may = USERS.get(name, EVERYTHING)
    return {"user": name, "vhost": vhost, "configure": may.configure, "write": may.write, "read": may.read}
