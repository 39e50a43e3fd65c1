"""compose.yaml, without a container engine: each of our services with its own command and environment, on private services.

Only host names, ports and the shared volume's path are rewritten; passwords, users, vhost and database are the file's.
"""

import asyncio
import json
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from socket import SOCK_DGRAM

import aio_pika
import psycopg
import pytest
import redis.asyncio
from aiormq.exceptions import ChannelAccessRefused

from services.cli.stack.broker_users import USERS
from services.cli.stack.ports import ServicePorts, free_ports
from services.cli.stack.private import PrivateServices
from services.cli.stack.process import Child
from services.cli.stack.readiness import until_ready
from services.cli.stack.rundir import PROJECT, RunDirectory
from services.testing.session import Session
from tests.services.compose_file import COMPOSE, Service, VariableMissing, read_compose

PROCESSES = ("gateway", "kendra", "media-server-1", "media-server-2")
SECRETS = ("PASSWORD_OWNER", *(f"PASSWORD_{u.upper()}" for u in (*USERS, "administrator")), "CLUSTER_SECRET")
_PORT_SETTINGS = ("DOORDARSHAN_HTTP_PORT", "DOORDARSHAN_ADMIN_PORT")


@dataclass
class Deployed:
    """The private services behind the file's names, and where the file's one-shot services wrote."""

    services: PrivateServices
    hosts: dict[str, str]
    shared: Path
    logs: Path
    file: dict[str, Service]

    def environment(self, name: str) -> dict[str, str]:
        """Return a service's environment with hosts and ports of this machine."""
        found = dict(self.file[name].get("environment", {}))
        for setting, value in found.items():
            for theirs, ours in self.hosts.items():
                found[setting] = found[setting].replace(theirs, ours)
            if value == "0.0.0.0":
                found[setting] = "127.0.0.1"
        found |= {setting: str(free_ports(1)[0]) for setting in _PORT_SETTINGS if setting in found}
        if "DOORDARSHAN_MEDIA_PORT" in found:
            found["DOORDARSHAN_MEDIA_PORT"] = str(free_ports(1, SOCK_DGRAM)[0])
        return found

    def child(self, name: str, environment: dict[str, str]) -> Child:
        """Return a service's command as a child that has this environment and nothing of ours."""
        program, *arguments = [part.replace("/users", str(self.shared)) for part in self.file[name]["command"]]
        command: list[str | Path] = [PROJECT / ".venv" / "bin" / program, *arguments]
        return Child(name, command, {"PATH": os.environ["PATH"], **environment}, self.logs / f"{name}.log")

    async def run_once(self, name: str) -> None:
        """Run a one-shot service to its end."""
        child = self.child(name, self.environment(name))
        await child.start()
        assert await asyncio.wait_for(child.wait(), 60) == 0, child.last_words()


@pytest.fixture(scope="module")
async def deployed(session: Session) -> AsyncIterator[Deployed]:
    """Services as Compose brings them up: users, then Postgres, RabbitMQ and Redis with those users, then the schema."""
    variables = {name: secrets.token_hex(24) for name in SECRETS}
    with session.place("compose") as home:
        run, ports = RunDirectory(home / "run"), ServicePorts.free()
        run.hold()
        run.secrets.put("postgres.doordarshan", variables["PASSWORD_OWNER"])
        services = PrivateServices(run, ports, durable=False, given={})
        hosts = {"postgres:5432": ports.postgres, "rabbitmq:5672": ports.amqp, "redis:6379": ports.redis}
        found = Deployed(
            services,
            {theirs: f"127.0.0.1:{ours}" for theirs, ours in hosts.items()},
            home / "users",
            home / "log",
            read_compose(variables)["services"],
        )
        found.shared.mkdir()
        await found.run_once("users")
        await services.start()
        await _take_users(services, found.shared)
        assert services.postgres is not None
        with psycopg.connect(services.postgres.url("postgres"), autocommit=True) as connection:
            connection.execute("alter role doordarshan superuser")  # as POSTGRES_USER of the image is
        await found.run_once("migrate")
        yield found
        await services.stop()
        run.release()


async def _take_users(services: PrivateServices, shared: Path) -> None:
    """Have RabbitMQ and Redis load the files that the service `users` wrote."""
    assert services.rabbitmq is not None
    assert services.redis is not None
    await services.rabbitmq.control("import_definitions", str(shared / "rabbitmq.json"))
    administrator = redis.asyncio.from_url(services.redis.url("administrator"))
    directory = (await administrator.config_get("dir"))["dir"]
    shutil.copy(shared / "redis.acl", Path(str(directory)) / "users.acl")
    await administrator.acl_load()
    await administrator.aclose()


async def test_every_process_gets_ready_with_its_command_and_environment(deployed: Deployed) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        ready: list[str] = []
        for name in PROCESSES:
            environment = deployed.environment(name)
            child = deployed.child(name, environment)
            await child.start()
            stack.push_async_callback(child.stop)
            ready.append(f"http://127.0.0.1:{environment['DOORDARSHAN_ADMIN_PORT']}/readyz")
        await asyncio.gather(*map(until_ready, ready))


async def test_a_broker_user_may_do_its_own_and_nothing_else(deployed: Deployed) -> None:
    tried = {"gateway": "kendra.commands", "kendra": "reply.gateway.x", "media": "kendra.commands", "tool": "dead"}
    for name, others in tried.items():
        assert deployed.services.rabbitmq is not None
        password = deployed.file["users"]["environment"][f"DOORDARSHAN_PASSWORD_{name.upper()}"]
        url = f"amqp://{name}:{password}@{deployed.hosts['rabbitmq:5672']}/doordarshan"
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            own = "reply.media_server.compose" if name == "media" else f"reply.{name}.compose"
            await channel.declare_queue(own, durable=True, arguments={"x-expires": 1000})
            with pytest.raises(ChannelAccessRefused):
                await channel.declare_queue(others, durable=True)


async def test_the_broker_gets_exactly_the_permissions_of_the_table(deployed: Deployed) -> None:
    written = json.loads((deployed.shared / "rabbitmq.json").read_text())
    found = {p["user"]: (p["configure"], p["write"], p["read"]) for p in written["permissions"]}
    assert found == {
        **{user: (may.configure, may.write, may.read) for user, may in USERS.items()},
        "administrator": (".*", ".*", ".*"),
    }
    assert {permission["vhost"] for permission in written["permissions"]} == {"doordarshan"}


async def test_a_weak_password_is_refused_by_name(deployed: Deployed) -> None:
    environment = deployed.environment("users") | {"DOORDARSHAN_PASSWORD_TOOL": "short"}
    child = deployed.child("users", environment)
    await child.start()
    assert await child.wait() == 1
    assert "DOORDARSHAN_PASSWORD_TOOL" in child.last_words()


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_has_a_default(name: str) -> None:
    with pytest.raises(VariableMissing, match=name):
        read_compose({other: "x" * 48 for other in SECRETS if other != name})


def test_media_ports_are_published_for_udp_and_tcp_and_stay_out_of_the_ephemeral_range() -> None:
    services = read_compose(dict.fromkeys(SECRETS, "x"))["services"]
    for name in ("media-server-1", "media-server-2"):
        port = services[name]["environment"]["DOORDARSHAN_MEDIA_PORT"]
        assert services[name]["ports"] == [f"{port}:{port}/udp", f"{port}:{port}/tcp"]
        assert int(port) < 32768


def test_the_announced_address_is_a_variable() -> None:
    services = read_compose({**dict.fromkeys(SECRETS, "x"), "ANNOUNCED_ADDRESS": "192.0.2.10"})["services"]
    announced = {services[name]["environment"]["DOORDARSHAN_ANNOUNCED_ADDRESS"] for name in PROCESSES[2:]}
    assert announced == {"192.0.2.10"}


def test_health_is_what_the_process_itself_says() -> None:
    services = read_compose(dict.fromkeys(SECRETS, "x"))["services"]
    for name in PROCESSES:
        port = services[name]["environment"]["DOORDARSHAN_ADMIN_PORT"]
        assert f"http://127.0.0.1:{port}/readyz" in str(services[name]["healthcheck"]["test"])
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_only_the_gateway_and_media_are_reachable_from_outside() -> None:
    services = read_compose({**dict.fromkeys(SECRETS, "x"), "HTTP_ADDRESS": "0.0.0.0"})["services"]
    public = {
        name for name, service in services.items() if any(not p.startswith("127.") for p in service.get("ports", []))
    }
    assert public == {"gateway", "media-server-1", "media-server-2"}


def test_the_versions_are_the_ones_that_were_decided() -> None:
    images = {name: service["image"] for name, service in read_compose(dict.fromkeys(SECRETS, "x"))["services"].items()}
    assert images["rabbitmq"].startswith("rabbitmq:4")
    assert images["postgres"] == "postgres:17"
    assert images["redis"] == "redis:8"
    assert {images[name] for name in ("users", "migrate", *PROCESSES)} == {"doordarshan"}


def test_the_image_has_stages_and_does_not_run_as_root() -> None:
    text = (PROJECT / "Dockerfile").read_text()
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 3
    assert "\nUSER 10001\n" in text
    copied = {part for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for part in line.split()}
    assert all((PROJECT / path).exists() for path in copied), copied


def test_the_file_names_every_secret_it_wants_at_its_top() -> None:
    head = COMPOSE.read_text().split("\nname:")[0]
    assert all(
        user in head for user in ("OWNER", "GATEWAY", "KENDRA", "MEDIA", "TOOL", "ADMINISTRATOR", "CLUSTER_SECRET")
    )
