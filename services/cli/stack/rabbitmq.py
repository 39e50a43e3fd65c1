"""A private RabbitMQ: one node with its own cookie, epmd and distribution port, all on loopback.

The node is started by `erl` itself, with a plugin directory that holds only the applications that the broker needs:
booting reads every module of every application it can see, and so takes 2.5 s instead of 6. Debian's wrapper script is
not used: as root it changes the user and drops the environment. `/etc/rabbitmq` has no say (RABBITMQ_CONF_ENV_FILE).
Users and vhosts come from a definitions file that is loaded at each boot.
"""

import asyncio
import json
import os
import re
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path

from services.cli.stack.broker_users import USERS, VHOST, definitions
from services.cli.stack.errors import NotReady
from services.cli.stack.ports import ServicePorts
from services.cli.stack.process import Child
from services.cli.stack.programs import program, rabbitmq_home
from services.cli.stack.rundir import RunDirectory

NODE = "kendra@localhost"
ADMINISTRATOR = "administrator"
_START_DEADLINE = 90.0
_ROOT_APPLICATIONS = ("rabbit", "rabbitmq_prelaunch")
_APPLICATIONS = re.compile(r"\{applications,\[([^]]*)\]\}")
_CALM = ("+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none")  # BEAM shall not spin while it waits
_LOOPBACK_DISTRIBUTION = ("-kernel", "inet_dist_use_interface", "{127,0,0,1}")


class RabbitMQ:
    """One private broker. `vhosts` exist from the first boot on; with `durable=False` each start begins empty."""

    name = "rabbitmq"

    def __init__(
        self, run: RunDirectory, ports: ServicePorts, *, durable: bool = True, vhosts: Iterable[str] = (VHOST,)
    ) -> None:
        self.port = ports.amqp
        self._run = run
        self._ports = ports
        self._durable = durable
        self._vhosts = tuple(vhosts)
        self._home = run.path / "rabbitmq"
        self._installed = rabbitmq_home()
        environment = self._environment()
        log = run.logs / "rabbitmq.log"
        epmd = ["-port", str(ports.epmd), "-address", "127.0.0.1"]
        self.epmd = Child("epmd", [program("epmd", "erlang-base"), *epmd], environment, log)
        self.child = Child(self.name, [program("erl", "erlang-base"), *self._arguments()], environment, log)

    def url(self, user: str, vhost: str = VHOST) -> str:
        """Return the URL with which a user reaches a vhost."""
        return f"amqp://{user}:{self._run.secrets.get(f'rabbitmq.{user}')}@127.0.0.1:{self.port}/{vhost}"

    async def start(self) -> None:
        """Start it and wait until it takes connections. Raises NotReady."""
        await asyncio.to_thread(self._prepare)
        if not self.epmd.running:
            await self.epmd.start()
        await self.child.start()
        deadline = asyncio.get_running_loop().time() + _START_DEADLINE
        while asyncio.get_running_loop().time() < deadline and self.child.running:
            if self._listens():
                return
            await asyncio.sleep(0.05)
        raise NotReady(self.name, self.child.last_words())

    async def stop(self) -> None:
        """Stop it in order (the node ends on SIGTERM as after `rabbitmqctl shutdown`)."""
        await self.child.stop(grace=15)
        await self.epmd.stop(grace=2)

    async def kill(self) -> None:
        """Kill the node as a crash would; epmd stays."""
        await self.child.kill()

    async def add_vhost(self, vhost: str) -> None:
        """Make one more vhost with the same permissions, while the node runs (about a second)."""
        path = self._home / f"vhost-{vhost}.json"
        self._write_definitions(path, [vhost])
        await self.control("import_definitions", str(path))
        path.unlink()

    async def delete_vhost(self, vhost: str) -> None:
        """Remove a vhost with all that is in it."""
        await self.control("delete_vhost", vhost)

    async def control(self, *arguments: str) -> str:
        """Run rabbitmqctl against this node and return its output. Raises NotReady."""
        environment = self._environment() | {"RABBITMQ_PLUGINS_DIR": str(self._installed / "plugins")}
        process = await asyncio.create_subprocess_exec(
            str(self._control_program()),
            "--node",
            NODE,
            "--quiet",
            *arguments,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        if process.returncode != 0:
            raise NotReady(self.name, " ".join((errors or output).decode(errors="replace").split()))
        return output.decode()

    def _control_program(self) -> Path:
        direct = self._installed.parents[1] / "bin" / "rabbitmqctl"
        return direct if direct.exists() else self._installed / "sbin" / "rabbitmqctl"

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=0.2).close()
        except OSError:
            return False
        return True

    def _prepare(self) -> None:
        if not self._durable:
            shutil.rmtree(self._home / "data", ignore_errors=True)
        for part in ("home", "data", "log"):
            (self._home / part).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._write_cookie()
        self._link_applications()
        self._write_definitions(self._home / "definitions.json", self._vhosts)
        (self._home / "enabled_plugins").write_text("[].\n")
        (self._home / "rabbitmq.conf").write_text(
            f"listeners.tcp.default = 127.0.0.1:{self.port}\n"
            f"load_definitions = {self._home / 'definitions.json'}\n"
            "log.console = false\nlog.file.level = warning\nvm_memory_high_watermark.absolute = 512MB\n"
        )

    def _write_cookie(self) -> None:
        cookie = self._home / "home" / ".erlang.cookie"
        cookie.unlink(missing_ok=True)
        cookie.touch(0o600)
        cookie.write_text(self._run.secrets.get("rabbitmq.cookie"))
        cookie.chmod(0o400)

    def _write_definitions(self, path: Path, vhosts: Iterable[str]) -> None:
        users = (*USERS, ADMINISTRATOR)
        content = definitions({user: self._run.secrets.get(f"rabbitmq.{user}") for user in users}, vhosts)
        path.touch(0o600)
        path.write_text(json.dumps(content))

    def _link_applications(self) -> None:
        """Make the plugin directory: links to the broker and to what it depends on."""
        plugins = self._home / "plugins"
        shutil.rmtree(plugins, ignore_errors=True)
        plugins.mkdir()
        for application in applications(self._installed / "plugins"):
            (plugins / application.name).symlink_to(application)

    def _arguments(self) -> list[str]:
        node = ["-noinput", "-s", "rabbit", "boot", "-boot", "start_sasl", "+W", "w"]
        limits = ["+P", "1048576", "+t", "5000000", "+stbt", "db", "+zdbbl", "128000", "+S", "2:2"]
        quiet = ["-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false"]
        alone = ["-kernel", "prevent_overlapping_partitions", "false"]
        return [*node, *limits, *_CALM, *_LOOPBACK_DISTRIBUTION, *quiet, *alone]

    def _environment(self) -> dict[str, str]:
        plugins = str(self._home / "plugins")
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self._home / "home"),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._ports.epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_LIBS": plugins,
            "ERL_CRASH_DUMP": str(self._home / "erl_crash.dump"),
            "ERL_MAX_ETS_TABLES": "50000",
            "RABBITMQ_HOME": str(self._installed),
            "RABBITMQ_PLUGINS_DIR": plugins,
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._ports.distribution),
            "RABBITMQ_MNESIA_BASE": str(self._home / "data"),
            "RABBITMQ_LOG_BASE": str(self._home / "log"),
            "RABBITMQ_PID_FILE": str(self._home / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self._home / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._home / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        }


def applications(plugins: Path) -> list[Path]:
    """Return the directories of the broker and of every application it needs, out of all that are installed."""
    needed: dict[str, Path] = {}
    waiting = list(_ROOT_APPLICATIONS)
    while waiting:
        name = waiting.pop()
        found = sorted(plugins.glob(f"{name}-[0-9]*/ebin/{name}.app"))
        if name in needed or not found:  # what is not here comes with Erlang
            continue
        needed[name] = found[-1].parents[1]
        described = _APPLICATIONS.search("".join(found[-1].read_text().split()))
        waiting += described.group(1).split(",") if described and described.group(1) else []
    return sorted(needed.values())
